"""What was decided of a job stands until its time comes, while the facts are the same.

So a sweep over a hundred thousand jobs that wait costs little: only what has changed is decided afresh.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from refresher.charge import NONE, Charge
from refresher.core import policy, published
from refresher.core.model import Token
from refresher.core.orders import BY_HAND
from refresher.ports import Scheduler

# All of a charge that `Charge.facts` is made of; a test holds it to that.
USUAL: Final = ("job", "held", "known_ours", "fetched_at", "scheduled")
RARE: Final = (
    "behind",
    "latch",
    "trouble",
    "unchanged",
    "changed",
    "hint",
    "record",
    "unknown",
    "leased_until",
    "replay_until",
    "orders",
    "vetoed_until",
)
_usual: Final[Callable[[Charge], tuple[Any, ...]]] = attrgetter(*USUAL)
_rare: Final[Callable[[Charge], tuple[Any, ...]]] = attrgetter(*RARE)
_DEFAULTS: Final = {one.name: one.default for one in fields(Charge)} | {"behind": NONE}
_NOTHING_RARE: Final = tuple(_DEFAULTS[name] for name in RARE)
# Longer than the floor between two fetches: who waits for the due time for longer keeps his promise meanwhile.
REST: Final = timedelta(minutes=1)


class Decided:
    """Decides as `policy.decide` does, for the daemon `holder`. A charge has the last wait that was decided of it."""

    def __init__(self, holder: str) -> None:
        self._holder = holder

    def verdict(self, charge: Charge, now: datetime, *, force: bool) -> policy.Verdict:
        """Return what is to be done about `charge`; to look, and what is issued and not written, comes first."""
        if charge.held is None or charge.pending:
            retry_at = charge.trouble.retry_at if charge.trouble is not None else None
            if retry_at is not None and retry_at > now:
                return policy.Wait(until=retry_at, reason="backoff")
            return policy.Rotate(reason="unwritten")
        return self.decide(charge, now, force=force)

    def decide(self, charge: Charge, now: datetime, *, force: bool = False) -> policy.Verdict:
        """Return what `policy.decide` says of `charge`, which was looked at."""
        if force:
            return policy.decide(charge.facts(now, self._holder, force=True))
        facts = facts_of(charge)
        if (known := _known(charge, now, facts)) is not None:
            return known
        verdict = policy.decide(charge.facts(now, self._holder))
        waits = isinstance(verdict, policy.Wait) and verdict.until is not None
        charge.decided = (*facts, now, verdict) if waits else ()
        return verdict

    def renew_at(self, charge: Charge, now: datetime, verdict: policy.Verdict | None = None) -> datetime | None:
        """Return what `policy.renew_at` says of `charge`; None too where nobody has looked.

        `verdict`: what was just decided of it, where that is known.
        """
        if charge.held is None:
            return None
        if charge.behind:  # what is decided of it may be for the destinations that are behind
            return policy.renew_at(charge.facts(now, self._holder))
        return policy.planned(verdict or self.decide(charge, now), now)

    def is_useless(self, charge: Charge, token: Token, now: datetime) -> bool:
        """Whether `token`, which an earlier walk could not write, is to be dropped: it is dead, or they have another.

        So where the path was handed back, was never ours, or has what a stranger put there for now. What a person
        brought is written all the same.
        """
        if is_dead(charge, token, now):
            return True
        facts = replace(charge.facts(now, self._holder), trouble=None)  # it is to be written, not to be fetched
        if BY_HAND in token.flags or all(one is None or one.ours for one in facts.held):
            return facts.orders.released and BY_HAND not in token.flags
        return policy.unmanaged(facts) is not None or not isinstance(policy.decide(facts), policy.Rotate)

    def rests_until(self, charge: Charge, now: datetime) -> datetime | None:
        """Return when `charge` comes due, where that is all there is to it for some time; None: it is to be decided."""
        wait = _known(charge, now, facts_of(charge))
        if wait is None or wait.reason != "due" or wait.until is None or now >= wait.until - REST:
            return None
        return wait.until


def is_dead(charge: Charge, token: Token, now: datetime) -> bool:
    """Whether `token` is of no use to readers any more."""
    expires_at = published.expiry(token, charge.job)
    return expires_at is not None and now >= expires_at


def facts_of(charge: Charge) -> tuple[Any, ...]:
    """Return the facts about `charge`; those that are facts about hardly any job are one tuple for all the others."""
    rare = _rare(charge)
    return (*_usual(charge), _NOTHING_RARE if rare == _NOTHING_RARE else rare)


def _known(charge: Charge, now: datetime, facts: tuple[Any, ...]) -> policy.Wait | None:
    """Return the wait that was decided on, where it stands still."""
    if not charge.decided:
        return None
    *before, since, wait = charge.decided
    stands: bool = since <= now < wait.until and tuple(before) == facts
    return wait if stands else None


def may_walk(scheduler: Scheduler | None, charge: Charge, *, force: bool = False) -> bool:
    """Whether a walk of `charge` is ours to begin. What is in our hands and unwritten is, whoever else is there."""
    if scheduler is None or force or charge.pending or charge.leaving:
        return True
    return scheduler.ours(charge.job.name, urgent=charge.changed or is_deleted(charge))


def is_deleted(charge: Charge) -> bool:
    """Whether readers have lost what stood there; where nothing ever stood, the job has its turn like the others."""
    return any(one is None and at for one, at in zip(charge.held or (), charge.versions, strict=False))
