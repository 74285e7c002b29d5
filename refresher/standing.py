"""How each job stands, in the shape that `status` and `plan` print: from what a look at Vault has found."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from refresher.charge import Charge
from refresher.core import due, policy
from refresher.core.published import stamp


def status_of(charge: Charge, now: datetime, holder: str) -> dict[str, object]:
    """Return the object that `status --json` prints for a job (docs/reference/json.md)."""
    held = charge.held or ()
    promises = [
        promise for one in held if one is not None and (promise := policy.promised(one, charge.job)) is not None
    ]
    renew_at = policy.renew_at(charge.facts(now, holder)) if charge.held is not None else None
    last, failed = charge.attempted, charge.ailing
    return {
        "job": charge.job.name,
        "provider": charge.job.provider,
        "state": state_of(charge, now, holder),
        "expires_at": _stamp(charge.expires_at),
        "renew_at": _stamp(renew_at),
        "life_left_s": None if charge.expires_at is None else round((charge.expires_at - now).total_seconds()),
        "promised_s": round(min(promises).total_seconds()) if promises else None,
        "failures": 0 if failed is None else failed.count,
        "last": None if last is None else {"at": _stamp(last.at), "outcome": last.outcome, "error": last.error},
        "destinations": [
            {
                "path": str(place),
                "version": version,
                "error": charge.behind[place].error if place in charge.behind else None,
            }
            for place, version in charge.places
        ],
        "shadow": [one.as_json(now) for one in charge.theirs] if charge.job.observed else None,
    }


def row_of(charge: Charge, now: datetime, holder: str) -> dict[str, object]:
    """Return what the table of `status` shows of a job: its `status`, and the whole life of its token."""
    lives = [one.lifetime for one in charge.held or () if one is not None and one.expires_at == charge.expires_at]
    lifetime = next((life for life in lives if life is not None), None)
    lifetime_s = None if lifetime is None else round(lifetime.total_seconds())
    return {"status": status_of(charge, now, holder), "lifetime_s": lifetime_s}


def state_of(charge: Charge, now: datetime, holder: str) -> str:
    """Return the one word of `status`: fresh, due, retrying, latched, unknown, paused, unmanaged."""
    if charge.held is None:
        return "unknown"
    match policy.decide(charge.facts(now, holder)):
        case policy.Halt(reason=reason):
            return "latched" if reason == "latched" else "unmanaged"
        case policy.Rotate():
            return "due" if charge.holding is None and not charge.behind else "retrying"
        case policy.Wait(reason="paused"):
            return "paused"
        case policy.Wait(reason="backoff"):
            return "latched" if charge.latch is not None else "retrying"
        case policy.Wait():
            return "retrying" if charge.behind else "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When a job comes due, and how long an outage of the provider or of Vault it survives from then on."""

    job: str
    at: datetime | None
    reason: str
    lifetime: timedelta | None
    rotations: int
    outage_budget: timedelta | None

    def as_json(self) -> dict[str, object]:
        """Return the object that `plan --json` prints."""
        return {
            "job": self.job,
            "at": _stamp(self.at),
            "reason": self.reason,
            "lifetime_s": None if self.lifetime is None else round(self.lifetime.total_seconds()),
            "rotations": self.rotations,
            "outage_budget_s": None if self.outage_budget is None else round(self.outage_budget.total_seconds()),
        }


def plan_of(charge: Charge, now: datetime, holder: str, horizon: timedelta) -> Plan:
    """Forecast a job by the same decision that the daemon takes; `rotations` are those due within `horizon`.

    Later tokens are taken to live as long as the one that stands there; where none stands, as the job's `lifetime`.
    """
    if charge.held is None:
        error = charge.holding.error if charge.holding is not None else "unknown"
        return Plan(job=charge.job.name, at=None, reason=error, lifetime=None, rotations=0, outage_budget=None)
    facts = charge.facts(now, holder)
    verdict, at = policy.decide(facts), policy.renew_at(facts)
    lifetimes = [one.lifetime for one in charge.held if one is not None and one.lifetime is not None]
    lifetime = min(lifetimes, default=charge.job.lifetime)
    budget = None if charge.expires_at is None or at is None else max(charge.expires_at - at, timedelta())
    rotations = 0
    if at is not None and at <= now + horizon:
        rotations = 1
        if lifetime is not None:
            each = max(lifetime - due.lead(lifetime, charge.job.renew_before, part=0.5), due.floor(lifetime))
            rotations += (now + horizon - at) // each
    return Plan(
        job=charge.job.name, at=at, reason=verdict.reason, lifetime=lifetime, rotations=rotations, outage_budget=budget
    )


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)
