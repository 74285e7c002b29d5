"""Secret references as text: `vault:[CLUSTER:]mount/path#field`, `file:/path`, `credential:name`, `env:NAME`.

Rules of this module:
- Nothing is read here: a reference is only looked at as text.
- An error's text never repeats the value: what is no reference may be the secret itself.
- Equal references are one: many jobs may name the same. What is no reference is not remembered.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from refresher.config import words
from refresher.config.words import BadValueError
from refresher.core.model import Reference

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_FIELD: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?")
MOST_SECRETS: Final = 2


@dataclass(frozen=True, slots=True)
class OtherJob:
    """The access token that another job of this configuration keeps."""

    name: str


def reference(value: object) -> Reference:
    """Return where a secret stands; raise BadValueError for a secret in the clear."""
    if not isinstance(value, str):
        raise BadValueError('must be a reference to a secret, e.g. "file:/etc/refresher/name.secret"')
    kind, colon, rest = value.partition(":")
    if not colon:
        kind = ""
    match kind:
        case "vault":
            return _vault(rest)
        case "file":
            return _file(rest)
        case "credential":
            return _credential(rest)
        case "env":
            return _variable(rest)
        case _:
            raise BadValueError(
                "a secret stands here in the clear; put it into a file of mode 0600 and write a reference, "
                'e.g. "file:/etc/refresher/name.secret" or "vault:secret/clients/name#field"'
            )


def pair(value: object) -> tuple[Reference, ...]:
    """Return one reference, or two in the order in which they are tried while a secret is being changed."""
    items = value if isinstance(value, list) else [value]
    found = tuple(reference(item) for item in items)
    if not 1 <= len(found) <= MOST_SECRETS or len(set(found)) < len(found):
        raise BadValueError("must be a reference, or a list of two different ones, the one to try first at the head")
    return found


def subject(value: object) -> Reference | OtherJob:
    """Return where the token to exchange stands: a reference, or `job:NAME`, another job's token."""
    if isinstance(value, str) and value.startswith("job:"):
        try:
            return OtherJob(words.path(value.removeprefix("job:")))
        except BadValueError:
            raise BadValueError('another job\'s token is "job:" and the name of its table [jobs.NAME]') from None
    return reference(value)


@lru_cache(maxsize=1024)
def _vault(rest: str) -> Reference:
    place, hash_sign, field = rest.partition("#")
    cluster, colon, path = place.partition(":")
    if not colon:
        cluster, path = "", place
    wanted = 'a vault reference is "vault:mount/path#field" or "vault:CLUSTER:mount/path#field"'
    if not hash_sign or _FIELD.fullmatch(field) is None:
        raise BadValueError(f"{wanted}; the field is missing or takes other characters")
    try:
        words.path(path)
        if colon:
            words.segment(cluster)
    except BadValueError as problem:
        raise BadValueError(f"{wanted}; a part of it {problem}") from None
    if "/" not in path:
        raise BadValueError(f"{wanted}; the path begins with the mount")
    return Reference(kind="vault", target=path, field=field, cluster=cluster)


@lru_cache(maxsize=1024)
def _file(rest: str) -> Reference:
    try:
        return Reference(kind="file", target=str(words.absolute(rest)))
    except BadValueError:
        raise BadValueError('a file reference is "file:" and an absolute path, e.g. "file:/etc/refresher/x"') from None


def _credential(rest: str) -> Reference:
    try:
        return Reference(kind="credential", target=words.segment(rest))
    except BadValueError:
        raise BadValueError('a credential reference is "credential:" and the name of a systemd credential') from None


def _variable(rest: str) -> Reference:
    if _VARIABLE.fullmatch(rest) is None:
        raise BadValueError('an environment reference is "env:" and the name of a variable, e.g. "env:CRM_SECRET"')
    return Reference(kind="env", target=rest)
