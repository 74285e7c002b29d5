"""What a job sends of its own: each credential read out, or one line on what keeps it from being sent."""

import re
from collections.abc import Mapping
from typing import Final, NoReturn

from refresher.core.errors import UnreadableReferenceError
from refresher.core.job import Job
from refresher.core.secret import Secret

# No credential holds these; a line feed at the end of a file is the usual way in.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def where(job: Job, key: str) -> str:
    """Return how the credential `key` is called in a message: the key of jobs.toml and what it points to."""
    reference = job.references().get(key)
    return f"{key} ({reference})" if reference is not None else key


def whole(job: Job, key: str, secrets: Mapping[str, Secret]) -> Secret:
    """Return the credential `key` whatever it holds, a key file or the like; raise when it is missing."""
    secret = secrets.get(key)
    if not secret:
        unusable(where(job, key), "is missing or empty")
    return secret


def reveal(job: Job, key: str, secrets: Mapping[str, Secret]) -> str:
    """Return the text of the credential `key`, to be sent; raise UnreadableReferenceError when it can't be."""
    return text(whole(job, key, secrets).reveal(), where(job, key))


def text(value: str | None, where: str) -> str:
    """Return `value`, or say in one line what keeps it from being sent; the value itself is not shown."""
    if not value:
        unusable(where, "is missing or empty")
    if _CONTROL.search(value):
        unusable(where, "holds a control character; is there a line feed at its end?")
    if _SURROGATE.search(value):
        unusable(where, "is no valid Unicode text")
    return value


def unusable(where: str, why: str) -> NoReturn:
    """Raise UnreadableReferenceError."""
    raise UnreadableReferenceError(where, why)
