"""What the ledger keeps of a job between one process and the next, so that a restart neither forgets nor hammers.

No secret is in it: credentials and refresh tokens are there as keyed fingerprints alone.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from refresher.core.orders import NO_ORDERS, Orders
from refresher.core.perishable import Life
from refresher.core.policy import Held, Trouble
from refresher.core.published import StateRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """The last attempt at a rotation: when it ended, and how."""

    at: datetime
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The newest state record that was seen; `fingerprint` is that of its refresh token."""

    generation: int
    updated_at: datetime
    fingerprint: str

    def is_newer_than(self, record: StateRecord, fingerprint: str) -> bool:
        """Whether `record` is one from before, with another refresh token: Vault was restored from a snapshot.

        What was written later, by a consent elsewhere, or by hand without a time, is not. A record that is gone, or
        that somebody wrote over without a refresh token, is: nobody meant to have none.
        """
        if record.updated_at is None and record.refresh_token is None:
            return bool(self.fingerprint)
        if record.generation >= self.generation or fingerprint == self.fingerprint:
            return False
        return record.updated_at is not None and record.updated_at <= self.updated_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands:
    """What a walk left at a job's paths, for the other nodes of a fleet: by path as text, None where nothing stands.

    `behind` are the paths that lack the newest token, and why. `hint` is when the provider said to come back,
    `scheduled` the next time on the job's calendar.
    """

    held: Mapping[str, Held | None]
    behind: Mapping[str, Trouble] = field(default_factory=dict)
    hint: datetime | None = None
    scheduled: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The provider's last word and the backoff of a job; `refused` is the fingerprint of a refused refresh token.

    `told` is the nonce of the last intent that was told of as unknown. `places` are the Vault paths of the job,
    `shadowed` those of somebody else that it stood beside in shadow mode. `orders` is what a person has decided of it.
    `refresh_life`: from when until when its refresh token lives, as the provider said. `stands`: in a fleet, what
    stands at its paths.
    """

    attempted: Attempted | None = None
    latch: Trouble | None = None
    trouble: Trouble | None = None
    refused: str = ""
    fetched_at: datetime | None = None
    unchanged: bool = False
    seen: Seen | None = None
    told: str = ""
    places: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    orders: Orders = NO_ORDERS
    refresh_life: Life | None = None
    stands: Stands | None = None

    def earlier(self, by: timedelta) -> "Remembered":
        """Return it by a clock that is set back `by` so much; what was told of Vault's own writes stays."""
        if by <= timedelta():
            return self
        fetched_at = None if self.fetched_at is None else self.fetched_at - by
        return replace(self, fetched_at=fetched_at, latch=_earlier(self.latch, by), trouble=_earlier(self.trouble, by))

    def as_of(self, now: datetime) -> "Remembered":
        """Return it as it was to be read at its last attempt, should the clock have been set back since."""
        if self.attempted is None or self.attempted.at <= now:
            return self
        return replace(self.earlier(self.attempted.at - now), attempted=replace(self.attempted, at=now))


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a fleet keeps of a job, since `at` by PostgreSQL's clock, by the node `holder` on `host`."""

    job: str
    kept: Remembered
    holder: str
    at: datetime
    host: str = ""


def _earlier(trouble: Trouble | None, by: timedelta) -> Trouble | None:
    if trouble is None:
        return None
    retry_at = None if trouble.retry_at is None else trouble.retry_at - by
    return replace(trouble, since=trouble.since - by, retry_at=retry_at)


def written(remembered: Remembered) -> str:
    """Return `remembered` as one line of JSON."""
    return _encode(_members(remembered))


def _members(value: object) -> dict[str, object]:
    """Return the fields of a dataclass as they are: `asdict` would copy all that is in them."""
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]  # slots, each of them


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else _members(value)


_encode: Final[Callable[[object], str]] = json.JSONEncoder(default=_plain, separators=(",", ":")).encode


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
            seen=_seen(members.get("seen")),
            told=_text(members.get("told", "")),
            places=tuple(map(_text, members.get("places", ()))),
            shadowed=tuple(map(_text, members.get("shadowed", ()))),
            orders=_orders(members.get("orders")),
            refresh_life=_life(members.get("refresh_life")),
            stands=_stands(members.get("stands")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def _attempted(members: Any) -> Attempted | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    error = None if members["error"] is None else _text(members["error"])
    return Attempted(at=datetime.fromisoformat(members["at"]), outcome=_text(members["outcome"]), error=error)


def _seen(members: Any) -> Seen | None:  # noqa: ANN401  # JSON of any shape
    updated_at = None if members is None else _moment(members["updated_at"])
    if updated_at is None:
        return None
    if not isinstance(members["generation"], int):
        raise TypeError("no number")
    return Seen(generation=members["generation"], updated_at=updated_at, fingerprint=_text(members["fingerprint"]))


def orders_in(text: str) -> Orders | None:
    """Return the orders that `written_orders` made a text of; None for anything else."""
    try:
        return _orders(json.loads(text))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def written_orders(orders: Orders) -> str:
    """Return `orders` as one line of JSON."""
    return json.dumps(orders, default=_plain, separators=(",", ":"))


def _stands(members: Any) -> Stands | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    behind = {_text(path): _trouble(one) for path, one in members["behind"].items()}
    return Stands(
        held={_text(path): _held(one) for path, one in members["held"].items()},
        behind={path: one for path, one in behind.items() if one is not None},
        hint=_moment(members["hint"]),
        scheduled=_moment(members["scheduled"]),
    )


def _held(members: Any) -> Held | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    if not isinstance(members["version"], int | None):
        raise TypeError("no number")
    issued_at, expires_at = _moment(members["issued_at"]), _moment(members["expires_at"])
    return Held(version=members["version"], issued_at=issued_at, expires_at=expires_at, ours=members["ours"] is True)


def _orders(members: Any) -> Orders:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return NO_ORDERS
    released, moments = members["released"] is True, (members["paused_until"], members["asked_at"])
    paused_until, asked_at = map(_moment, moments)
    return Orders(paused_until=paused_until, released=released, asked_at=asked_at)


def _trouble(members: Any) -> Trouble | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    known = {field.name: members[field.name] for field in fields(Trouble)}
    since, retry_at = _moment(known["since"]), _moment(known["retry_at"])
    if known["kind"] not in KINDS or since is None or not isinstance(known["count"], int):
        raise ValueError("no trouble of ours")
    return Trouble(**known | {"since": since, "retry_at": retry_at, "error": _text(known["error"])})


def _life(members: Any) -> Life | None:  # noqa: ANN401  # JSON of any shape
    if members is None:
        return None
    begins, ends = map(_moment, members)
    return None if begins is None or ends is None else (begins, ends)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


KINDS = frozenset({"transient", "malformed", "permanent", "store", "outage", "internal"})
