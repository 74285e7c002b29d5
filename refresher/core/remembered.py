"""What the ledger keeps of a job between one process and the next, so that a restart neither forgets nor hammers.

No secret is in it: credentials and refresh tokens are there as keyed fingerprints alone.
"""

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from refresher.core.policy import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """The last attempt at a rotation: when it ended, and how."""

    at: datetime
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The provider's last word and the backoff of a job; `refused` is the fingerprint of a refused refresh token."""

    attempted: Attempted | None = None
    latch: Trouble | None = None
    trouble: Trouble | None = None
    refused: str = ""
    fetched_at: datetime | None = None
    unchanged: bool = False


def written(remembered: Remembered) -> str:
    """Return `remembered` as one line of JSON."""
    return json.dumps(asdict(remembered), default=datetime.isoformat, separators=(",", ":"))


def read(text: str) -> Remembered | None:
    """Return what `written` made of it; None for anything else, whatever it is."""
    try:
        members = json.loads(text)
        return Remembered(
            attempted=_attempted(members["attempted"]),
            latch=_trouble(members["latch"]),
            trouble=_trouble(members["trouble"]),
            refused=_text(members["refused"]),
            fetched_at=_moment(members["fetched_at"]),
            unchanged=members["unchanged"] is True,
        )
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def _attempted(members: Any) -> Attempted | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    error = None if members["error"] is None else _text(members["error"])
    return Attempted(at=datetime.fromisoformat(members["at"]), outcome=_text(members["outcome"]), error=error)


def _trouble(members: Any) -> Trouble | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    known = {field.name: members[field.name] for field in fields(Trouble)}
    since, retry_at = _moment(known["since"]), _moment(known["retry_at"])
    if known["kind"] not in KINDS or since is None or not isinstance(known["count"], int):
        raise ValueError("no trouble of ours")
    return Trouble(**known | {"since": since, "retry_at": retry_at, "error": _text(known["error"])})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


KINDS = frozenset({"transient", "malformed", "permanent", "store", "outage", "internal"})
