"""What to do about a job, from facts alone: `decide(facts) -> Wait | Rotate | Halt`.

Rules of this module:
- A rule is a function from facts to a verdict of its own, or None. The first that speaks wins; the order has a test.
- No clock: `facts.now` is when we decide. The same facts give the same decision, after a restart and in `plan`.
- Told to wait until t, the answer at t is to rotate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core import due
from refresher.core.job import Job

TroubleKind: TypeAlias = Literal["transient", "malformed", "permanent", "store", "outage", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What stands at one destination. `ours`: it bears this instance's mark for this job."""

    version: int | None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    ours: bool = True

    @property
    def lifetime(self) -> timedelta | None:
        """The whole life it had when issued, where both ends are known and in order."""
        if self.issued_at is None or self.expires_at is None or self.expires_at <= self.issued_at:
            return None
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Failures in a row. `retry_at` None: latched until the credential or the config changes (`credential` differs)."""

    kind: TroubleKind
    error: str
    status: int = 0
    count: int
    since: datetime
    retry_at: datetime | None
    retry_after: int | None = None
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision may look at. `held` has one entry for each destination, None where nothing stands.

    `known_ours`: every path where a stranger's secret stands is known to be ours.
    """

    now: datetime
    job: Job
    holder: str
    held: tuple[Held | None, ...]
    known_ours: bool = False
    trouble: Trouble | None = None
    fetched_at: datetime | None = None
    unchanged: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing to do before `until`; None: nothing to do at all, until something changes."""

    until: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A person must act first."""

    reason: str


Verdict: TypeAlias = Wait | Rotate | Halt


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A rotation is wanted from `at` on; None: never."""

    at: datetime | None
    reason: str


def unmanaged(facts: Facts) -> Halt | None:
    """A path that was never ours is never written, unless the job says `adopt`."""
    strange = any(held is not None and not held.ours for held in facts.held)
    return Halt(reason="unmanaged") if strange and not (facts.known_ours or facts.job.adopt) else None


def latched(facts: Facts) -> Halt | None:
    """A refused refresh token or password is not sent again until it changes."""
    return Halt(reason="latched") if facts.trouble is not None and facts.trouble.retry_at is None else None


def forced(facts: Facts) -> Need | None:
    return Need(at=facts.now, reason="forced") if facts.forced else None


def missing(facts: Facts) -> Need | None:
    return Need(at=facts.now, reason="missing") if None in facts.held else None


def unstated(facts: Facts) -> Need | None:
    """A token whose expiry nobody states: a stranger's is replaced, ours stays."""
    silent = [held for held in facts.held if held is not None and held.expires_at is None]
    if not silent:
        return None
    if any(not held.ours for held in silent):
        return Need(at=facts.now, reason="foreign")
    return Need(at=None, reason="no_expiry") if len(silent) == len(facts.held) else None


def repeated(facts: Facts) -> Need | None:
    """A server that returns the same token until it dies is asked from 5 s before its end, every 2 s."""
    expiry = _first_expiry(facts)
    if not facts.unchanged or expiry is None or facts.fetched_at is None:
        return None
    return Need(at=max(expiry - due.UNCHANGED_LEAD, facts.fetched_at + due.TOO_SHORT_PAUSE), reason="unchanged")


def expiring(facts: Facts) -> Need | None:
    """Renewal by the token's own expiry, no sooner than the floor after the last fetch that succeeded."""
    needs = [_due(facts, held) for held in facts.held if held is not None and held.expires_at is not None]
    if not needs:
        return None
    return Need(at=min(needs), reason="due")


HALTS: Final[tuple[Callable[[Facts], Halt | None], ...]] = (unmanaged, latched)
NEEDS: Final[tuple[Callable[[Facts], Need | None], ...]] = (forced, missing, unstated, repeated, expiring)


def decide(facts: Facts) -> Verdict:
    """Say what to do now; the reason is the name of the rule that spoke, or the trouble that holds it back."""
    for halt in HALTS:
        if (halted := halt(facts)) is not None:
            return halted
    need = next(need for rule in NEEDS if (need := rule(facts)) is not None)
    if need.at is None:
        return Wait(until=None, reason=need.reason)
    held_back = facts.trouble.retry_at if facts.trouble is not None else None
    at, reason = need.at, need.reason
    if held_back is not None and held_back > at:
        at, reason = held_back, "backoff"
    return Rotate(reason=need.reason) if facts.now >= at else Wait(until=at, reason=reason)


def renew_at(facts: Facts) -> datetime | None:
    """Return when the job is due next, whatever stands in its way; None when nothing is planned."""
    verdict = decide(facts)
    match verdict:
        case Wait(until=until):
            return until
        case Rotate():
            return facts.now
        case Halt():
            return None


def promised(held: Held, job: Job) -> timedelta | None:
    """Return the life that readers of `held` may count on, None where no promise can be made."""
    lifetime = held.lifetime
    return None if lifetime is None or lifetime < due.SHORTEST else due.promised(lifetime, job.renew_before)


def _first_expiry(facts: Facts) -> datetime | None:
    return min(
        (held.expires_at for held in facts.held if held is not None and held.expires_at is not None), default=None
    )


def _due(facts: Facts, held: Held) -> datetime:
    if held.expires_at is None:
        raise ValueError("no expiry, no due time")
    lifetime = held.lifetime
    if lifetime is None:  # a stranger's token that states its end alone: honoured until shortly before it
        return held.expires_at - due.STRANGER_LEAD
    part = due.derived(facts.holder, facts.job.name, held.version)
    at = held.expires_at - due.lead(lifetime, facts.job.renew_before, part=part)
    earliest = facts.fetched_at + due.floor(lifetime) if facts.fetched_at is not None else at
    return max(at, earliest)
