"""The words of hooks, and a day: each function takes what TOML gave and returns a value, or raises BadValueError.

Rules of this module, beside those of words.py:
- What hooks need stands on this machine: they tell that Vault is away, too.
"""

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Final, Literal, get_args

from refresher.config import addresses, members, references
from refresher.config.words import BadValueError, hint, segment
from refresher.core.events import EventName
from refresher.core.hooks import OWN
from refresher.core.model import Reference

BEFORE: Final = "before"
EVENTS: Final = (BEFORE, *(name for name in get_args(EventName) if name not in OWN))
_UNIT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,199}")
_SUFFIXES: Final = (".service", ".socket", ".target", ".path", ".timer")


def secret(value: object) -> Reference:
    """Return where a secret stands on this machine."""
    found = references.reference(value)
    if found.kind == "vault":
        raise BadValueError(
            "must stand on this machine, since hooks are called while Vault is away, too: write "
            '"credential:name", "file:/etc/refresher/name" or "env:NAME"'
        )
    return found


def secrets(value: object) -> tuple[tuple[str, Reference], ...]:
    """Return such references by the name under which a program gets the secret."""
    found = members.secrets(value)
    for name, one in found:
        try:
            secret(str(one))
        except BadValueError as problem:
            raise BadValueError(f"{name}: {problem}") from None
    return found


def url(value: object) -> str | Reference:
    """Return an address, or where on this machine it stands."""
    if isinstance(value, str) and value.lower().startswith(("https:", "http:")):
        return addresses.url(value)
    if isinstance(value, str) and value.startswith(("file:", "credential:", "env:", "vault:")):
        return secret(value)
    raise BadValueError(
        'must be a URL that begins with "https://", or where on this machine it stands, e.g. "credential:hook-url"'
    )


def names(value: object) -> tuple[str, ...]:
    """Return names, none twice; there may be none."""
    if not isinstance(value, list):
        raise BadValueError('must be a list of names, e.g. ["reload-crm"]')
    return tuple(dict.fromkeys(segment(item) for item in value))


def events(value: object) -> tuple[EventName | Literal["before"], ...]:
    """Return names of events, none twice."""
    if not isinstance(value, list) or not value:
        raise BadValueError('must be a list of events, e.g. ["rotated"]')
    for item in value:
        if item not in EVENTS:
            raise BadValueError(f"names an event that there is not{hint(item, EVENTS)}")
    if BEFORE in value and len(value) > 1:
        raise BadValueError('"before" stands alone: what is asked before a rotation is no event')
    return tuple(dict.fromkeys(value))


def unit(value: object) -> str:
    """Return the name of a systemd service, without `.service`."""
    if not isinstance(value, str) or _UNIT.fullmatch(value) is None or value.endswith(_SUFFIXES):
        raise BadValueError('must be the name of a service without ".service", e.g. "nginx"')
    return value


def day(value: object) -> date:
    """Return a day, as TOML writes a date, or as a text of that form."""
    with suppress(ValueError):
        value = date.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(value, date) or isinstance(value, datetime):
        raise BadValueError("must be a day, e.g. 2027-03-01")
    return value
