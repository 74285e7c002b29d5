"""What to do about a job, from facts alone: `decide(facts) -> Wait | Rotate | Halt`.

Rules of this module:
- A rule is a function from facts to a verdict of its own, or None. The first that speaks wins; the order has a test.
- No clock: `facts.now` is when we decide. The same facts give the same decision, after a restart and in `plan`.
- Told to wait until t, the answer at t is to rotate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from refresher.core import due
from refresher.core.facts import Facts, Held, Trouble, TroubleKind
from refresher.core.job import Job

__all__ = ["Facts", "Held", "Trouble", "TroubleKind", "decide", "promised", "renew_at"]  # facts.py is its other half


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


def released(facts: Facts) -> Halt | None:
    """A person handed the paths back: they are left alone, whatever stands there and whatever the job says."""
    return Halt(reason="released") if facts.orders.released else None


def paused(facts: Facts) -> Wait | None:
    """A person has the job wait."""
    until = facts.orders.paused_until
    return Wait(until=until, reason="paused") if until is not None and facts.now < until else None


def unmanaged(facts: Facts) -> Halt | None:
    """A path that was never ours is never written, unless the job says `adopt`."""
    strange = [held for held in _standing(facts) if not held.ours]
    return Halt(reason="unmanaged") if strange and not (facts.known_ours or facts.job.adopt) else None


def latched(facts: Facts) -> Halt | None:
    """A refused refresh token or password is not sent again until it changes."""
    return Halt(reason="latched") if facts.trouble is not None and facts.trouble.retry_at is None else None


def unknown(facts: Facts) -> Need | None:
    """Whether the refresh token was spent is not known: the full grant at once, else the token as the last resort.

    A spent one that comes back may end the consent (RFC 9700, section 4.14.2): readers come first, but only at the end.
    Where the catalogue says that it may come back (`single_use`, `leeway`), there is nothing to wait for.
    """
    if not facts.unknown:
        return None
    allowed = not facts.job.single_use or (facts.replay_until is not None and facts.now < facts.replay_until)
    if facts.job.grant != "refresh_token" or None in facts.held or allowed:
        return Need(at=facts.now, reason="grant_unknown")
    ends = [
        one.expires_at - (promised(one, facts.job) or due.STRANGER_LEAD)
        for one in _standing(facts)
        if one.expires_at is not None
    ]
    return Need(at=min(ends, default=None), reason="grant_unknown")


def forced(facts: Facts) -> Need | None:
    return Need(at=facts.now, reason="forced") if facts.forced else None


def missing(facts: Facts) -> Need | None:
    return Need(at=facts.now, reason="missing") if None in facts.held else None


def foreign(facts: Facts) -> Need | None:
    """A stranger's secret on our path that states no expiry is replaced at once."""
    strange = [held for held in _standing(facts) if not held.ours and held.expires_at is None]
    return Need(at=facts.now, reason="foreign") if strange else None


def repeated(facts: Facts) -> Need | None:
    """A server that returns the same token until it dies is asked from 5 s before its end, every 2 s."""
    ends = [one.expires_at for one in _standing(facts) if one.expires_at is not None] if facts.unchanged else []
    if not ends or facts.fetched_at is None:
        return None
    return Need(at=max(min(ends) - due.UNCHANGED_LEAD, facts.fetched_at + due.TOO_SHORT_PAUSE), reason="unchanged")


def timely(facts: Facts) -> Need:
    """The earliest moment that a source names, no sooner than the floor after the last fetch that succeeded."""
    needs = [need for source in SOURCES if (need := source(facts)) is not None]
    if not needs:
        return Need(at=None, reason="no_expiry")
    first = needs[0] if len(needs) == 1 else min(needs, key=lambda need: need.at)
    return Need(at=max(first.at, _floor(facts)), reason=first.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a rotation is due by one of the sources."""

    at: datetime
    reason: str


def expiring(facts: Facts) -> Moment | None:
    """Renewal by the token's own expiry."""
    return _first("due", [_due(facts, held) for held in _standing(facts) if held.expires_at is not None])


def hinted(facts: Facts) -> Moment | None:
    """The provider said when to come back (`refresh_in`)."""
    return None if facts.hint is None else Moment(at=facts.hint, reason="hint")


def aged(facts: Facts) -> Moment | None:
    """`max_age`: what may live longer is renewed all the same."""
    age = facts.job.times.max_age
    if age is None:
        return None
    return _first("max_age", [held.issued_at + age for held in _standing(facts) if held.issued_at is not None])


def scheduled(facts: Facts) -> Moment | None:
    """`schedule`: the first time on the calendar after the token was issued."""
    return None if facts.scheduled is None else Moment(at=facts.scheduled, reason="schedule")


def kept_alive(facts: Facts) -> Moment | None:
    """`refresh_every`: a refresh token that dies of disuse is used in time."""
    every = facts.job.times.refresh_every
    return None if every is None or facts.kept_at is None else Moment(at=facts.kept_at + every, reason="keep_alive")


def doomed(facts: Facts) -> Moment | None:
    """Vault deletes the state record by itself: it is written anew in half of the time that it has."""
    if facts.record_ends is None or facts.kept_at is None:
        return None
    return Moment(at=facts.kept_at + (facts.record_ends - facts.kept_at) / 2, reason="doomed")


HALTS: Final[tuple[Callable[[Facts], Halt | Wait | None], ...]] = (released, paused, unmanaged, latched)
NEEDS: Final[tuple[Callable[[Facts], Need | None], ...]] = (unknown, forced, missing, foreign, repeated, timely)
SOURCES: Final[tuple[Callable[[Facts], Moment | None], ...]] = (expiring, hinted, aged, scheduled, kept_alive, doomed)


def decide(facts: Facts) -> Verdict:
    """Say what to do now; the reason is the name of the rule that spoke, or the trouble that holds it back.

    `behind`: no new token is due, but a destination lacks the one in hand, and is tried again.
    """
    verdict, at = _renewal(facts), facts.behind_at
    until = verdict.until if isinstance(verdict, Wait) else None
    if (
        at is None
        or isinstance(verdict, Rotate)
        or verdict.reason in ("unmanaged", "released")
        or (until is not None and until <= at)
    ):
        return verdict
    return Rotate(reason="behind") if facts.now >= at else Wait(until=at, reason="behind")


def _renewal(facts: Facts) -> Verdict:
    for halt in HALTS:
        if (halted := halt(facts)) is not None:
            return halted
    if facts.leased_until is not None and facts.now < facts.leased_until:
        return Wait(until=facts.leased_until, reason="leased")
    need = next(need for rule in NEEDS if (need := rule(facts)) is not None)
    if need.at is None:
        return Wait(until=None, reason=need.reason)
    held_back = facts.trouble.retry_at if facts.trouble is not None else None
    at, reason = need.at, need.reason
    vetoed_until = facts.vetoed_until if need.reason != "behind" else None  # nothing is rotated for it
    if held_back is not None and held_back > at:
        at, reason = held_back, "backoff"
    if vetoed_until is not None and vetoed_until > at:
        at, reason = vetoed_until, "vetoed"
    return Rotate(reason=need.reason) if facts.now >= at else Wait(until=at, reason=reason)


def renew_at(facts: Facts) -> datetime | None:
    """Return when the job is due next, whatever stands in its way; None when nothing is planned."""
    return planned(_renewal(facts), facts.now)


def planned(verdict: Verdict, now: datetime) -> datetime | None:
    """Return when there is a rotation by `verdict`; None: none is planned."""
    if isinstance(verdict, Wait):
        return verdict.until
    return now if isinstance(verdict, Rotate) else None


def promised(held: Held, job: Job) -> timedelta | None:
    """Return the life that readers of `held` may count on, None where no promise can be made."""
    lifetime = held.lifetime
    return None if lifetime is None or lifetime < due.SHORTEST else due.promised(lifetime, job.renew_before)


def _standing(facts: Facts) -> list[Held]:
    return [held for held in facts.held if held is not None]


def _first(reason: str, moments: list[datetime]) -> Moment | None:
    at = min(moments, default=None)
    return None if at is None else Moment(at=at, reason=reason)


def _due(facts: Facts, held: Held) -> datetime:
    if held.expires_at is None:
        raise ValueError("no expiry, no due time")
    lifetime = held.lifetime
    if lifetime is None:  # a stranger's token that states its end alone: honoured until shortly before it
        return held.expires_at - due.STRANGER_LEAD
    part = due.derived(facts.holder, facts.job.name, held.version)
    return held.expires_at - due.lead(lifetime, facts.job.renew_before, part=part)


def _floor(facts: Facts) -> datetime:
    if facts.fetched_at is None:
        return due.LONG_AGO
    lifetimes = [lifetime for held in _standing(facts) if (lifetime := held.lifetime) is not None]
    return facts.fetched_at + due.floor(min(lifetimes, default=None))
