"""The token request (RFC 6749 sections 4.3.2, 4.4.2 and 6) and how the client proves itself (section 2.3.1)."""

import base64
import re
from typing import Final, NoReturn, assert_never
from urllib.parse import quote, urlencode

from refresher import __version__
from refresher.core.errors import UnreadableReferenceError
from refresher.core.job import GrantName, Job
from refresher.core.model import HttpRequest, Reference
from refresher.core.secret import Secret

_HEADERS: Final = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),  # a reply is small, and compressing secrets gains nothing
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("User-Agent", f"refresher/{__version__}"),
)
# No credential holds these; a line feed at the end of a file is the usual way in.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def build(
    job: Job,
    grant: GrantName,
    *,
    client_secret: Secret | None,
    password: Secret | None = None,
    refresh_token: Secret | None = None,
) -> HttpRequest:
    """Return the request for a token of `job` by `grant`.

    A refresh sends no scope: the server then grants what it granted before (section 6), and one that is asked for more
    may burn the refresh token. Raises UnreadableReferenceError for a credential that is missing or can't be sent.
    """
    fields: dict[str, str] = {"grant_type": grant}
    match grant:
        case "password":
            fields["username"] = _text(job.username, "username")
            fields["password"] = _reveal(password, job.password, "password")
        case "refresh_token":
            fields["refresh_token"] = _reveal(refresh_token, job.refresh_token, "refresh_token")
        case "client_credentials":
            pass
        case _:
            assert_never(grant)
    if job.scope and grant != "refresh_token":
        fields["scope"] = " ".join(job.scope)
    secret = _reveal(client_secret, job.client_secret, "client_secret")
    client_id = _text(job.client_id, "client_id")
    headers: tuple[tuple[str, str], ...] = _HEADERS
    match job.client_auth:
        case "basic":
            headers = (*_HEADERS, _basic(_escaped(client_id), _escaped(secret)))
        case "basic_raw" if ":" in client_id:  # RFC 7617 section 2: the name ends at the first colon
            _unusable("client_id", 'holds a colon, which basic_raw can not send; write client_auth = "basic" or "post"')
        case "basic_raw":
            headers = (*_HEADERS, _basic(client_id, secret))
        case "post":
            fields |= {"client_id": client_id, "client_secret": secret}
        case _:
            assert_never(job.client_auth)
    body = urlencode(
        fields | dict(job.params), quote_via=quote, safe=""
    )  # %20, since not every server reads + as space
    return HttpRequest(url=job.token_url, headers=headers, body=body.encode("ascii"))


def has_special_characters(client_id: str, client_secret: Secret) -> bool:
    """Whether `basic` and `basic_raw` differ for these: servers disagree on which of them is right."""
    return any(_escaped(text) != text for text in (client_id, client_secret.reveal()))


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _basic(name: str, secret: str) -> tuple[str, str]:
    """Return the header of RFC 7617; base64 keeps every character out of it that a header can't hold."""
    return "Authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")


def _reveal(secret: Secret | None, reference: Reference | None, key: str) -> str:
    where = f"{key} ({reference})" if reference is not None else key
    return _text(None if secret is None else secret.reveal(), where)


def _text(value: str | None, where: str) -> str:
    """Return `value`, or say in one line what keeps it from being sent; the value itself is not shown."""
    if not value:
        _unusable(where, "is missing or empty")
    if _CONTROL.search(value):
        _unusable(where, "holds a control character; is there a line feed at its end?")
    if _SURROGATE.search(value):
        _unusable(where, "is no valid Unicode text")
    return value


def _unusable(where: str, why: str) -> NoReturn:
    raise UnreadableReferenceError(where, why)
