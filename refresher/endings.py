"""How a walk ends: the outcome, the trouble that it makes, and the events that tell of it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import ceil

from refresher.charge import MOMENT, Charge, Identity
from refresher.core import backoff, outcome, policy
from refresher.core.errors import (
    AwaitedSecretError,
    StoreAmbiguousError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    UnreadableReferenceError,
)
from refresher.core.events import Event, Field
from refresher.core.job import GrantName
from refresher.core.model import Location, Rejected
from refresher.core.outcome import NOBODY, Outcome, OutcomeName
from refresher.core.policy import Trouble
from refresher.decided import Decided
from refresher.exchange import Asked, ClientSecret
from refresher.ports import Clock, Sink


@dataclass(slots=True, kw_only=True)
class Walk:
    """One walk under way: what it has found out so far, for the tale at its end."""

    began: float
    reason: str = ""
    grant: GrantName | None = None
    client_secret: ClientSecret = ""
    before: tuple[int | None, ...] = ()
    unkept: str = ""  # why a refresh token that nobody uses could not be kept


def close(charge: Charge, ended: Outcome, clock: Clock) -> Outcome:
    """Note how a walk of `charge` ended, and when by the wall clock; return `ended`."""
    now, then = clock.now(), charge.reckoned
    same = then is not None and abs(now - then) < MOMENT  # one time takes the memory of one
    charge.last, charge.last_at = ended, then if same else now
    return ended


class Endings:
    """Makes outcomes and tells of them."""

    def __init__(self, *, clock: Clock, sink: Sink, identity: Identity, decided: Decided) -> None:
        self._clock = clock
        self._sink = sink
        self._identity = identity
        self._decided = decided

    def unrotated(self, charge: Charge, walk: Walk, verdict: policy.Verdict) -> Outcome:
        """End without a rotation: nothing is due, or something holds the job back."""
        if isinstance(verdict, policy.Halt) or verdict.reason in ("backoff", "paused", "vetoed"):
            return self._halted(charge, walk, verdict.reason)
        return self.end(charge, walk, "fresh", verdict.reason, verdict=verdict)

    def _halted(self, charge: Charge, walk: Walk, reason: str) -> Outcome:
        told = charge.last is not None and (charge.last.outcome, charge.last.reason) == ("halted", reason)
        if reason == "unmanaged" and not told:
            self.tell((outcome.unmanaged(charge.job),))
        held_back = charge.holding if reason not in ("paused", "released") else None
        error = reason if held_back is None else held_back.error
        return self.end(charge, walk, "halted", reason, error=error)

    def rejected(self, charge: Charge, walk: Walk, asked: Asked, rejected: Rejected) -> Outcome:
        before = charge.latch or charge.trouble
        after = backoff.after_rejection(
            rejected,
            job=charge.job,
            grant=asked.grant,
            before=before,
            now=charge.now(self._clock),
            expires_at=charge.expires_at,
            credential=asked.credential,
            holder=self._identity.holder,
        )
        charge.latch, charge.trouble = (after, None) if after.kind == "permanent" else (None, after)
        names: dict[str, OutcomeName] = {
            "permanent": "rejected_permanent",
            "transient": "rejected_transient",
            "malformed": "rejected_malformed",
        }
        ended = self.end(charge, walk, names[rejected.kind], walk.reason, error=rejected.error)
        ended = replace(ended, http_status=rejected.status or None, retry_after=rejected.retry_after)
        details = self.details(charge, walk) | ({"why": asked.why} if asked.why else {})
        self.tell(outcome.tell_failed(ended, before, after, details))
        return ended

    def store_failed(self, charge: Charge, walk: Walk, error: StoreError | UnreadableReferenceError) -> Outcome:
        code = error.code
        status, wait = (error.status, error.retry_after) if isinstance(error, StoreError) else (0, None)
        before = after = charge.trouble
        away, unsure = isinstance(error, StoreUnavailableError), isinstance(error, StoreAmbiguousError)
        if after is None or after.kind == "outage" or not away:
            charge.trouble = after = backoff.after_store(
                code,
                status=status,
                job=charge.job,
                before=before,
                now=charge.now(self._clock),
                holder=self._identity.holder,
                refused=_lasts(error),
                away=away,
            )
        ended = self.end(charge, walk, "store_failed", walk.reason, error=code)
        wait = None if wait is None else ceil(wait)
        ended = replace(ended, http_status=status or None, retry_after=wait, store_down=away, store_unsure=unsure)
        details = self.details(charge, walk) | {"why": str(error)}
        self.tell(outcome.tell_failed(ended, before, after, details))
        return ended

    def end(  # noqa: PLR0913  # what there is to say
        self,
        charge: Charge,
        walk: Walk,
        name: OutcomeName,
        reason: str,
        *,
        error: str | None = None,
        verdict: policy.Verdict | None = None,
    ) -> Outcome:
        """Return the outcome; `verdict` is what was just decided of `charge`, where nothing happened since."""
        return Outcome(
            job=charge.job.name,
            outcome=name,
            reason=reason,
            error=error,
            expires_at=charge.expires_at,
            renew_at=self._decided.renew_at(charge, charge.now(self._clock), verdict),
            places=charge.job.destinations,
            versions=charge.versions,
            away=charge.away,
            behind={place: one.error for place, one in charge.behind.items()} if charge.behind else NOBODY,
            duration_ms=round((self._clock.monotonic() - walk.began) * 1000),
        )

    def details(self, charge: Charge, walk: Walk) -> dict[str, Field]:
        details: dict[str, Field] = {"provider": charge.job.provider, "attempt": charge.attempts}
        if walk.grant is not None:
            details["grant"] = walk.grant
        if walk.client_secret:
            details["client_secret"] = walk.client_secret
        if walk.before and walk.before[0] is not None:
            details["version_before"] = walk.before[0]
        return details

    def tell_written(  # noqa: PLR0913  # what there is to tell
        self,
        charge: Charge,
        walk: Walk,
        ended: Outcome,
        *,
        places: Collection[Location],
        before: Trouble | None = None,
        more: dict[str, Field] | None = None,
    ) -> None:
        """Tell of a token that was written to `places`, and of the end of the trouble `before`."""
        told = tuple((place, version) for place, version in ended.destinations if place in places)
        details = self.details(charge, walk) | {"version": told[0][1]} | (more or {})
        ended = replace(ended, places=tuple(place for place, _ in told), versions=tuple(at for _, at in told))
        self.tell(outcome.tell_rotated(ended, before, details))

    def tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._sink.tell(event)


def _lasts(error: StoreError | UnreadableReferenceError) -> bool:
    """Whether a person must mend it, so that there is no hurry to try again."""
    return isinstance(error, StoreRefusedError | UnreadableReferenceError) and not isinstance(error, AwaitedSecretError)
