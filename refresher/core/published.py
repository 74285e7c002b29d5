"""The two Vault secrets of a job: what readers find at its path, and its state record, which readers must not read.

Every value is text (Vault loses digits of large numbers). Times are whole seconds, rounded down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from refresher.core.fields import MEMBERS, OWN, Fields, is_whole
from refresher.core.job import Job
from refresher.core.model import Absent, Found, Token
from refresher.core.policy import Held
from refresher.core.secret import Secret

SPENDING: Final = "spending"
AHEAD: Final = timedelta(seconds=30)  # clocks that differ by less are taken for the same
MOST_DIGITS: Final = 18  # below 2**63
MARK: Final = ("job", "managed_by")  # the members that say whose a path is
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def mark(instance: str) -> str:
    """Return the value of `managed_by` that says: this path is kept by that instance of refresher."""
    return f"refresher/{instance}"


def stamp(moment: datetime) -> str:
    """Return RFC 3339 in UTC, whole seconds: `2026-11-21T10:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unstamp(text: str) -> datetime | None:
    """Return the moment that `text` states (RFC 3339), None when it states none, or one before 1970.

    Go writes the year 1 for a time that is not set.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None and moment >= EPOCH else None
    except (ValueError, OverflowError):
        return None


def expiry(token: Token, job: Job) -> datetime | None:
    """Return when `token` ends: by the provider's word, else by the job's `lifetime`, else None. Whole seconds."""
    lifetime = timedelta(seconds=token.expires_in) if token.expires_in is not None else job.lifetime
    if lifetime is None:
        return None
    try:
        return (token.issued_at.astimezone(UTC) + lifetime).replace(microsecond=0)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC, microsecond=0)


def data_of(token: Token, job: Job, instance: str) -> Mapping[str, Secret]:
    """Return the KV data that readers find (design: jobs.toml, "a secret as readers find it")."""
    ends = expiry(token, job)
    scope = token.scope if token.scope is not None else job.scope
    kept = {name: token.extras[name] for name in job.keep if name in token.extras}
    plain = {
        "token_type": token.token_type,
        "issued_at": stamp(token.issued_at),
        "scope": " ".join(scope),
        "job": job.name,
        "managed_by": mark(instance),
    }
    if ends is not None:
        plain |= {"expires_at": stamp(ends), "expires_at_unix": str(int(ends.timestamp()))}
    return kept | {name: Secret(text) for name, text in plain.items()} | {"access_token": token.access_token}


def members(job: Job, fields: Fields) -> frozenset[str]:
    """Return the names that readers may find where `fields` say so."""
    return frozenset((*(name for name, _ in fields or ()), *OWN, *(() if fields else (*MEMBERS, *job.keep))))


def held_in(secret: Found | Absent, job: Job, instance: str, fields: Fields = ()) -> Held | None:
    """Return what a destination holds, as facts; a stranger's secret is read the same way, without the mark.

    None: nothing, or a secret of ours that lacks the token, or one of the `fields` that readers are to find there.
    """
    if isinstance(secret, Absent):
        return None
    issued_at, expires_at = times_in(secret)
    ours = marked(secret.data, job, instance)
    if ours and not is_whole(secret.data, fields):
        return None
    return Held(version=secret.version, issued_at=issued_at, expires_at=expires_at, ours=ours)


def times_in(secret: Found) -> tuple[datetime | None, datetime | None]:
    """Return when what stands there was issued and when it ends, as far as it says so, or Vault does."""
    issued_at, expires_at = (_moment(secret.data.get(name)) for name in ("issued_at", "expires_at"))
    if expires_at is None and "expires_at_unix" in secret.data:
        expires_at = _epoch(secret.data["expires_at_unix"].reveal())
    if secret.deletion_time is not None:  # Vault deletes it then, whether it lives or not
        expires_at = min(expires_at or secret.deletion_time, secret.deletion_time).replace(microsecond=0)
    return issued_at, expires_at


def by_our_clock(held: Held | None, secret: Found | Absent, now: datetime) -> Held | None:
    """Return `held` with the times that it has by our clock, where the one that it was stamped by was ahead of ours.

    Nothing is issued after it was written, and how long ago that was, Vault says by its own clock (not on KV v1).
    """
    if held is None or not held.ours or held.issued_at is None or isinstance(secret, Absent) or secret.version is None:
        return held
    ahead = held.issued_at - (now - secret.age)
    if ahead <= AHEAD:
        return held
    ends = None if held.expires_at is None else (held.expires_at - ahead).replace(microsecond=0)
    return replace(held, issued_at=(held.issued_at - ahead).replace(microsecond=0), expires_at=ends)


def owned(secret: Found | Absent, job: Job, instance: str) -> bool:
    """Whether its place is this instance's for `job`, by the data's mark or by the custom metadata's.

    The metadata outlives what anybody writes: it says whose the path is, not whose the present value is.
    """
    if isinstance(secret, Absent):
        return False
    stated = secret.metadata
    return _is_mark(stated.get("job"), stated.get("managed_by"), job, instance) or marked(secret.data, job, instance)


def marked(data: Mapping[str, Secret], job: Job, instance: str) -> bool:
    """Whether `data` says that this instance keeps it for `job`."""
    name, keeper = data.get("job"), data.get("managed_by")  # no secrets, though they are wrapped as all of it is
    return name is not None and keeper is not None and _is_mark(name.reveal(), keeper.reveal(), job, instance)


def _is_mark(name: str | None, keeper: str | None, job: Job, instance: str) -> bool:
    """Whether that is the mark under the job's name, or under the one that it had before."""
    return bool(name) and name in (job.name, job.moved_from) and keeper == mark(instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A grant that we are about to spend, or have spent, as the state record says it."""

    nonce: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """What refresher alone keeps of a job. `version` is its check-and-set value: 0 not written yet, None on KV v1.

    `generation` counts the refresh tokens. `spending`: a grant is being spent, by the daemon `holder`, under this
    `nonce`, for the generation `following`. `moved`: `to NAME` while it is moved to a job's new name, `from NAME` when
    it has arrived there, until the next grant. `deletion_time`: when Vault will delete it by itself. `age`: how long it
    stands there, by Vault's clock.
    """

    version: int | None
    refresh_token: Secret | None = None
    generation: int = 0
    updated_at: datetime | None = None
    spending: bool = False
    holder: str = ""
    nonce: str = ""
    following: int = 0
    moved: str = ""
    deletion_time: datetime | None = field(default=None, compare=False)
    age: timedelta = field(default=timedelta(), compare=False)

    @property
    def highest(self) -> int:
        """The highest generation that is there or under way."""
        return max(self.generation, self.following if self.spending else 0)

    def is_after(self, nonce: str, generation: int) -> bool:
        """Whether somebody else took the record over after the intent of that `nonce`, for that `generation`."""
        return bool(self.nonce) and self.nonce != nonce and self.highest > generation


def record_of(secret: Found | Absent) -> StateRecord:
    """Return the state record that stands in Vault; a member that can't be read counts as not there."""
    if isinstance(secret, Absent):
        return StateRecord(version=secret.version)
    text = {name: secret.data.get(name, Secret("")).reveal() for name in ("phase", "holder", "nonce", "moved")}
    return StateRecord(
        spending=text["phase"] == SPENDING,
        holder=text["holder"],
        nonce=text["nonce"],
        moved=text["moved"],
        following=_number(secret.data.get("following")),
        version=secret.version,
        refresh_token=secret.data.get("refresh_token") or None,
        updated_at=unstamp(secret.data.get("updated_at", Secret("")).reveal()),
        generation=_number(secret.data.get("generation")),
        deletion_time=secret.deletion_time,
        age=secret.age,
    )


def record_data(record: StateRecord, job: Job, instance: str, now: datetime) -> Mapping[str, Secret]:
    """Return the KV data of a state record."""
    refresh_token = {} if record.refresh_token is None else {"refresh_token": record.refresh_token}
    plain = {
        "generation": str(record.generation),
        "phase": SPENDING if record.spending else "idle",
        "holder": record.holder,
        "nonce": record.nonce,
        "job": job.name,
        "managed_by": mark(instance),
        "updated_at": stamp(now),
    }
    if record.spending:
        plain["following"] = str(record.following)
    if record.moved:
        plain["moved"] = record.moved
    return {name: Secret(text) for name, text in plain.items()} | refresh_token


def _moment(secret: Secret | None) -> datetime | None:
    return None if secret is None else unstamp(secret.reveal())


def _number(secret: Secret | None) -> int:
    text = "" if secret is None else secret.reveal()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0


def _epoch(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), tz=UTC) if text.isdecimal() else None
    except (ValueError, OverflowError, OSError):
        return None
