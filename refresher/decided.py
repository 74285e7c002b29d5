"""What was decided of a job stands until its time comes, while the facts are the same.

So a sweep over a hundred thousand jobs that wait costs little: only what has changed is decided afresh.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from refresher.charge import Charge
from refresher.core import policy
from refresher.ports import Scheduler

# All of a charge that `Charge.facts` is made of; a test holds it to that.
FACTS: Final[Callable[[Charge], tuple[Any, ...]]] = attrgetter(
    "job",
    "held",
    "behind",
    "known_ours",
    "latch",
    "trouble",
    "fetched_at",
    "unchanged",
    "changed",
    "hint",
    "scheduled",
    "record",
    "unknown",
    "leased_until",
    "replay_until",
    "orders",
    "vetoed_until",
)
# Longer than the floor between two fetches: who waits for the due time for longer keeps his promise meanwhile.
REST: Final = timedelta(minutes=1)


class Decided:
    """The waits of the jobs of one roster."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._waits: dict[str, tuple[tuple[Any, ...], datetime, datetime, policy.Wait]] = {}

    def verdict(self, charge: Charge, now: datetime, *, force: bool) -> policy.Verdict:
        """Return what `policy.decide` says of `charge`; what is issued and not written comes first."""
        if charge.held is None or charge.pending:
            retry_at = charge.trouble.retry_at if charge.trouble is not None else None
            if retry_at is not None and retry_at > now:
                return policy.Wait(until=retry_at, reason="backoff")
            return policy.Rotate(reason="unwritten")
        name, facts = charge.job.name, FACTS(charge)
        known = self._waits.get(name)
        if known is not None and not force and known[1] <= now < known[2] and known[0] == facts:
            return known[3]
        verdict = policy.decide(charge.facts(now, self._holder, force=force))
        if isinstance(verdict, policy.Wait) and verdict.until is not None and not force:
            self._waits[name] = facts, now, verdict.until, verdict
        else:
            self._waits.pop(name, None)
        return verdict

    def rests_until(self, charge: Charge, now: datetime) -> datetime | None:
        """Return when `charge` comes due, where that is all there is to it for some time; None: it is to be decided."""
        known = self._waits.get(charge.job.name)
        if known is None or known[3].reason != "due" or not known[1] <= now < known[2] - REST:
            return None
        return known[2] if known[0] == FACTS(charge) else None

    def forget(self, name: str) -> None:
        """Forget a job that is gone, and the secrets among its facts."""
        self._waits.pop(name, None)


def may_walk(scheduler: Scheduler | None, charge: Charge, *, force: bool = False) -> bool:
    """Whether a walk of `charge` is ours to begin. What is in our hands and unwritten is, whoever else is there."""
    if scheduler is None or force or charge.pending or charge.leaving:
        return True
    return scheduler.ours(charge.job.name, urgent=charge.changed or is_deleted(charge))


def is_deleted(charge: Charge) -> bool:
    """Whether readers have lost what stood there; where nothing ever stood, the job has its turn like the others."""
    return any(one is None and at for one, at in zip(charge.held or (), charge.versions, strict=False))
