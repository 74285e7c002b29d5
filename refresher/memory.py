"""What outlives the process: charges from the ledger, and back into it. Without a ledger nothing does.

Rules of this module:
- The ledger tells; it never steers: whatever it raises is told of, and nobody waits.
- What it keeps is by the wall clock, and a clock that is set back meanwhile puts nothing off.
- In a fleet it tells the other nodes what stands at a job's paths, and hears it of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from refresher.behind import own
from refresher.charge import Charge
from refresher.core import outcome, policy
from refresher.core.job import Job
from refresher.core.policy import Held
from refresher.core.remembered import Attempted, Remembered, Stands
from refresher.ports import Clock, Ledger, Scheduler, Sink

_T = TypeVar("_T")


class Memory:
    """Recalls and notes charges."""

    def __init__(self, ledger: Ledger | None, sink: Sink, clock: Clock, *, shared: bool = False) -> None:
        self._ledger = ledger
        self._shared = shared
        self._clock = clock
        self._sink = sink
        self._failures = 0

    def charge(self, job: Job) -> Charge:
        """Return a charge of `job`, with what an earlier process knew of it, under its old name too."""
        kept = self._of(lambda ledger: self._recalled(ledger, job))
        if kept is None:
            return Charge(job=job)
        charge = Charge(job=job)
        return recall(charge, kept.as_of(charge.now(self._clock)))  # time is reckoned from here: waits are as of now

    def renew(self, charge: Charge | None, scheduler: Scheduler) -> None:
        """Where other machines may have walked `charge` since we did: know what they kept, and look at Vault again."""
        if charge is None or not scheduler.shared or charge.pending:
            return
        charge.held = None
        if (kept := self._of(lambda ledger: ledger.fetched(charge.job.name))) is not None:
            recall(charge, kept.as_of(charge.now(self._clock)))

    def handed_on(self, charge: Charge, heir: Charge) -> Charge:
        """Return the charge of the heir's job, with what was known of it under its old name, and the history too."""
        self._of(lambda ledger: ledger.rename(charge.job.name, heir.job.name))
        return charge.inherited_by(heir)

    def note(self, charge: Charge) -> None:
        """Have the ledger keep an attempt, and what holds the job back."""
        ended, at = charge.last, charge.last_at
        if ended is None or at is None:
            return
        if ended.outcome not in ("fresh", "halted"):
            charge.attempted = Attempted(at=at, outcome=ended.outcome, error=ended.error)
        elif charge.holding is None and not charge.unknown:
            return  # nothing was attempted, and nothing is to be remembered
        kept = to_keep(charge, shared=self._shared).earlier(charge.now(self._clock) - self._clock.now())
        self._of(lambda ledger: ledger.note(ended, at, kept))

    def keep(self, charge: Charge) -> None:
        """Have the ledger keep what a person has decided of the job; nothing was attempted."""
        self._of(lambda ledger: ledger.keep(charge.job.name, to_keep(charge, shared=self._shared)))

    @staticmethod
    def _recalled(ledger: Ledger, job: Job) -> Remembered | None:
        kept = ledger.recall(job.name)
        if job.moved_from:
            kept = kept or ledger.recall(job.moved_from)
            ledger.rename(job.moved_from, job.name)
        return kept

    def _of(self, deed: Callable[[Ledger], _T]) -> _T | None:
        """Return what the ledger does; None where there is none, or where it breaks."""
        if self._ledger is None:
            return None
        try:
            done = deed(self._ledger)
        except BaseException as error:  # noqa: BLE001  # nothing is awaited here: all of it is a bug
            self._failures += 1
            self._sink.tell(outcome.tell_broken(error, self._failures))
            return None
        self._failures = 0
        return done


def recall(charge: Charge, kept: Remembered) -> Charge:
    """Have `charge` take over what the ledger kept, and return it."""
    charge.attempted, charge.latch, charge.trouble = kept.attempted, kept.latch, kept.trouble
    charge.refused, charge.fetched_at, charge.unchanged = kept.refused, kept.fetched_at, kept.unchanged
    charge.newest, charge.told, charge.orders = kept.seen, kept.told, kept.orders
    charge.shadowed = frozenset(kept.shadowed)
    for place in charge.job.destinations if charge.shadowed else ():
        if str(place) in charge.shadowed:
            own(charge, place)
    charge.refresh_life = kept.refresh_life
    return charge


def hear(charge: Charge, kept: Remembered, seed: str) -> None:
    """Have `charge` stand as another node left it. What we have read in Vault ourselves, and is newer, stays."""
    recall(charge, kept)
    if (stands := kept.stands) is None or any(str(place) not in stands.held for place in charge.job.destinations):
        return
    before = charge.held or (None,) * len(charge.job.destinations)
    told = [stands.held[str(place)] for place in charge.job.destinations]
    charge.held = held = tuple(_newer(old, new) for old, new in zip(before, told, strict=True))
    if held != before:
        known = charge.versions or (None,) * len(held)
        charge.versions = tuple(at if one is None else one.version for one, at in zip(held, known, strict=True))
        ours = {place for place, one in charge.standing if one is not None and one.ours}.union(charge.known_ours)
        charge.known_ours = tuple(place for place in charge.job.destinations if place in ours)
        charge.warned, charge.unknown, charge.leased_until, charge.replay_until = "", False, None, None
        charge.hint, charge.scheduled = stands.hint, stands.scheduled
    charge.behind = {  # which of the clusters are away is for each node to find out
        place: one if one.kind != "outage" else replace(one, kind="store")
        for place in charge.job.destinations
        if (one := stands.behind.get(str(place))) is not None
    }
    if charge.last is not None and charge.attempted is not None:
        renew_at = policy.renew_at(charge.facts(charge.attempted.at, seed))
        charge.last = replace(charge.last, renew_at=renew_at)


def _newer(ours: Held | None, told: Held | None) -> Held | None:
    """Return the one that was written later, as far as that can be known: by Vault's version, else by its issue."""
    if ours is None or told is None:
        return ours or told
    if ours.version is not None and told.version is not None:
        return told if told.version > ours.version else ours
    if ours.issued_at is None or told.issued_at is None:
        return ours
    return told if told.issued_at > ours.issued_at else ours


def to_keep(charge: Charge, *, shared: bool = False) -> Remembered:
    """Return what the ledger is to keep: of Vault's troubles none, which a new process meets by itself."""
    providers = charge.trouble is not None and charge.trouble.kind in ("transient", "malformed", "internal")
    job = charge.job
    return Remembered(
        attempted=charge.attempted,
        latch=charge.latch,
        trouble=charge.trouble if providers else None,
        refused=charge.refused,
        fetched_at=charge.fetched_at,
        unchanged=charge.unchanged,
        seen=charge.newest,
        told=charge.told,
        shadowed=tuple(sorted(charge.shadowed.union(map(str, job.observed)))),
        orders=charge.orders,
        refresh_life=charge.refresh_life,
        places=tuple(map(str, (*job.destinations, *((job.state,) if job.irreplaceable else ())))),
        stands=_stands(charge) if shared and charge.held is not None else None,
    )


def _stands(charge: Charge) -> Stands:
    return Stands(
        held={str(place): one for place, one in zip(charge.job.destinations, charge.held or (), strict=False)},
        behind={str(place): one for place, one in charge.behind.items()},
        hint=charge.hint,
        scheduled=charge.scheduled,
    )
