"""How each job stands, in the shape that `status` and `plan` print: from what a look at Vault has found."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from refresher.charge import Charge
from refresher.core import due, forecast, perishable, policy
from refresher.core.forecast import Forecast
from refresher.core.job import Job
from refresher.core.perishable import Perishable, is_soon
from refresher.core.published import stamp
from refresher.ports import Calendar


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
        "secrets": [
            {"secret": one.what, "expires_at": _stamp(one.ends_at), "expiring": is_soon(one, now)}
            for one in charge.perishables
        ],
        "node": charge.node or None,
        "shadow": [one.as_json(now) for one in charge.theirs] if charge.job.observed else None,
    }


def row_of(charge: Charge, now: datetime, holder: str) -> dict[str, object]:
    """Return what the table of `status` shows of a job: its `status`, and the whole life of its token."""
    lives = [one.lifetime for one in charge.held or () if one is not None and one.expires_at == charge.expires_at]
    lifetime = next((life for life in lives if life is not None), None)
    lifetime_s = None if lifetime is None else round(lifetime.total_seconds())
    return {"status": status_of(charge, now, holder), "lifetime_s": lifetime_s}


def logins_of(logins: Mapping[str, Perishable], now: datetime) -> list[dict[str, object]]:
    """Return an object for each cluster whose login somebody has to see to, by name."""
    return [
        {
            "cluster": name,
            "secret": one.what,
            "expires_at": _stamp(one.ends_at),
            "uses_left": one.uses_left,
            "why": perishable.why(one),
        }
        for name, one in perishable.limited(logins, now)
    ]


def state_of(charge: Charge, now: datetime, holder: str) -> str:
    """Return the one word of `status`: fresh, due, retrying, latched, unknown, paused, unmanaged."""
    if charge.held is None:
        return "unknown"
    match policy.decide(charge.facts(now, holder)):
        case policy.Halt(reason=reason):
            return "latched" if reason == "latched" else "unmanaged"
        case policy.Rotate() | policy.Wait(reason="vetoed"):
            return "due" if charge.holding is None and not charge.behind else "retrying"
        case policy.Wait(reason="paused"):
            return "paused"
        case policy.Wait(reason="backoff"):
            return "latched" if charge.latch is not None else "retrying"
        case policy.Wait():
            return "retrying" if charge.behind else "fresh"


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
        behind=charge.perishables,
        warnings={},
    )


def plan_rows(forecasts: Iterable[Forecast], now: datetime, horizon: timedelta) -> list[dict[str, object]]:
    """Return the objects that `plan --json` prints (docs/reference/json.md), with what is to be said of each job."""
    return [
        {
            "job": one.job.name,
            "at": _stamp(one.at),
            "reason": one.reason,
            "host": one.job.host,
            "lifetime_s": _seconds(one.lifetime),
            "promised_s": _seconds(one.promised),
            "reader_lag_s": _seconds(one.job.reader_lag),
            "every_s": _seconds(one.every),
            "rotations": forecast.rotations(one.at, one.every, now + horizon),
            "outage_budget_s": _seconds(one.outage_budget),
            "warnings": dict(one.warnings),
        }
        for one in forecast.warned(forecasts, now)
    ]


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
