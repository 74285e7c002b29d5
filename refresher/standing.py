"""How each job stands, in the shape that `status` and `plan` print: from what a look at Vault has found."""

from datetime import datetime, timedelta

from refresher.charge import Charge
from refresher.core import due, forecast, policy
from refresher.core.forecast import Forecast
from refresher.core.job import Job
from refresher.core.published import stamp
from refresher.ports import Calendar


def status_of(charge: Charge, now: datetime, holder: str) -> dict[str, object]:
    """Return the object that `status --json` prints for a job (docs/reference/json.md)."""
    held = charge.held or ()
    promises = [
        promise for one in held if one is not None and (promise := policy.promised(one, charge.job)) is not None
    ]
    renew_at = policy.renew_at(charge.facts(now, holder)) if charge.held is not None else None
    last, failed = charge.attempted, charge.holding
    return {
        "job": charge.job.name,
        "provider": charge.job.provider,
        "state": charge.state(now, holder),
        "expires_at": _stamp(charge.expires_at),
        "renew_at": _stamp(renew_at),
        "life_left_s": None if charge.expires_at is None else round((charge.expires_at - now).total_seconds()),
        "promised_s": round(min(promises).total_seconds()) if promises else None,
        "failures": 0 if failed is None else failed.count,
        "last": None if last is None else {"at": _stamp(last.at), "outcome": last.outcome, "error": last.error},
        "destinations": [{"path": str(place), "version": version} for place, version in charge.places],
    }


def plan_of(charge: Charge, now: datetime, holder: str, calendar: Calendar | None = None) -> Forecast:
    """Forecast a job by the same decision that the daemon takes.

    Later tokens are taken to live as long as the one that stands there; where none stands, as the job's `lifetime`.
    """
    job = charge.job
    if charge.held is None:
        error = charge.holding.error if charge.holding is not None else "unknown"
        return Forecast(job=job, at=None, reason=error, warnings={})
    facts = charge.facts(now, holder)
    verdict, at = policy.decide(facts), policy.renew_at(facts)
    lifetimes = [one.lifetime for one in charge.held if one is not None and one.lifetime is not None]
    lifetime = min(lifetimes, default=job.lifetime)
    promised = None
    if lifetime is not None and lifetime >= due.SHORTEST:
        promised = due.promised(lifetime, job.renew_before)
    kept_alive = facts.kept_at is not None
    return Forecast(
        job=job,
        at=at,
        reason=verdict.reason,
        lifetime=lifetime,
        expires_at=charge.expires_at,
        every=forecast.pace(job, lifetime, kept_alive=kept_alive, calendar=_calendar(job, now, calendar)),
        promised=promised,
        warnings={},
    )


def plan_json(one: Forecast, now: datetime, horizon: timedelta) -> dict[str, object]:
    """Return the object that `plan --json` prints (docs/reference/json.md)."""
    return {
        "job": one.job.name,
        "at": _stamp(one.at),
        "reason": one.reason,
        "host": one.job.host,
        "lifetime_s": _seconds(one.lifetime),
        "promised_s": _seconds(one.promised),
        "reader_lag_s": _seconds(one.job.reader_lag),
        "rotations": one.rotations(now + horizon),
        "outage_budget_s": _seconds(one.outage_budget),
        "warnings": dict(one.warnings),
    }


def _calendar(job: Job, now: datetime, calendar: Calendar | None) -> timedelta | None:
    """Return how often the job's calendar comes round: the time between the next two of its moments."""
    if calendar is None or not job.times.schedule:
        return None
    first = calendar.after(job.times.schedule, job.times.timezone, now)
    second = None if first is None else calendar.after(job.times.schedule, job.times.timezone, first)
    return None if first is None or second is None else second - first


def _seconds(length: timedelta | None) -> int | None:
    return None if length is None else round(length.total_seconds())


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)
