"""What was decided of a job stands until its time comes, while the facts are the same.

So a sweep over a hundred thousand jobs that wait costs little: only what has changed is decided afresh.
"""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from refresher.charge import Charge
from refresher.core import policy

# All of a charge that `Charge.facts` is made of; a test holds it to that.
FACTS: Final[Callable[[Charge], tuple[Any, ...]]] = attrgetter(
    "job",
    "held",
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
    "vetoed_until",
)


class Decided:
    """The waits of the jobs of one roster."""

    def __init__(self, holder: str) -> None:
        self._holder = holder
        self._waits: dict[str, tuple[tuple[Any, ...], datetime, datetime, policy.Wait]] = {}

    def verdict(self, charge: Charge, now: datetime, *, force: bool) -> policy.Verdict:
        """Return what `policy.decide` says of `charge`."""
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

    def forget(self, name: str) -> None:
        """Forget a job that is gone, and the secrets among its facts."""
        self._waits.pop(name, None)
