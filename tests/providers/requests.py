"""A token request as the tests ask for it: secrets as plain text, time and nonce standing still."""

from urllib.parse import parse_qsl

from refresher.core.job import Job
from refresher.core.model import HttpRequest
from refresher.core.secret import Secret
from refresher.providers import build
from tests.core.builders import NOW


def request_of(job: Job, grant: str | None = None, *, nonce: str = "n-1", **texts: str) -> HttpRequest:
    """Return the request for `job`, by its own grant unless told; a secret's name has `__` where it has a dot."""
    secrets = {name.replace("__", "."): Secret(text) for name, text in texts.items()}
    return build(job, grant or job.grant, secrets, now=NOW, nonce=nonce)


def form(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)  # RFC 6749 section 3.2: never twice
    return dict(pairs)
