"""What is to come, from what is decided of each job now: later rotations, the load, outages survived, warnings. Pure.

Rules of this module:
- The next rotation is the policy's own verdict; those after it are taken to come as often as the token that stands
  there lives.
- A warning is a rule: from a forecast, at a time, to a sentence for people, or None. `WARNINGS` names each by its code.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final, TypeAlias

from refresher.core import due, perishable
from refresher.core.backoff import FIRST, LONGEST, URGENT_LEAST
from refresher.core.job import Job
from refresher.core.perishable import Perishable
from refresher.core.published import stamp
from refresher.core.spans import span

MINUTE: Final = timedelta(minutes=1)
NONE: Final = timedelta()
COLUMNS: Final = 24  # of a chart, at most
STEPS: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 360, 720, 1440, 10_080))
Turn: TypeAlias = tuple[datetime | None, timedelta | None]
CROWD: Final = 30  # rotations at one host within one minute: one each two seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`at`: when the job comes due next, None: not by itself; `reason`: why, by the name that the policy gives it.

    `every`: how often from then on, None: nobody knows. `lifetime`, `expires_at`, `promised`: of the token that stands
    there. `behind`: what stands behind the job and comes to an end. `warnings`: sentences by their codes.
    """

    job: Job
    at: datetime | None
    reason: str
    lifetime: timedelta | None = None
    expires_at: datetime | None = None
    every: timedelta | None = None
    promised: timedelta | None = None
    behind: tuple[Perishable, ...] = ()
    warnings: Mapping[str, str]

    @property
    def outage_budget(self) -> timedelta | None:
        """How long an outage of the provider, or of Vault, readers don't notice, whenever it begins before `at`."""
        if self.expires_at is None or self.at is None:
            return None
        return endured(self.expires_at - self.at, self.job.reader_lag or NONE)


def rotations(at: datetime | None, every: timedelta | None, until: datetime) -> int:
    """Return how many come due before `until`, the first of them `at`."""
    if at is None or until <= at:
        return 0
    return 1 if every is None else ceil((until - at) / every)


def endured(lead: timedelta, lag: timedelta) -> timedelta:
    """Return the longest outage that can be made good within the `lead` from the first try to the token's end.

    Readers go on with the old token for their `lag`. What fails is tried again in 1 s, then in twice the time, at last
    every 5 min, but at least after a third of the life left: one such pause may pass after the outage is over.
    """
    room = lead - lag
    pause = min(LONGEST, max(URGENT_LEAST, lag / 2), (room + FIRST) / 2)
    return max(room - max(pause, NONE), NONE)


def pace(job: Job, lifetime: timedelta | None, *, kept_alive: bool, calendar: timedelta | None) -> timedelta | None:
    """Return how often `job` comes due; `calendar`: how often its schedule does, `kept_alive`: its refresh token is."""
    spans = [job.times.max_age, calendar, job.times.refresh_every if kept_alive else None]
    if lifetime is not None:
        spans.append(lifetime - due.lead(lifetime, job.renew_before, part=0.5))
    known = [one for one in spans if one is not None]
    return max(min(known), due.floor(lifetime)) if known else None


def load(turns: Sequence[Turn], now: datetime, horizon: timedelta) -> tuple[timedelta, tuple[int, ...]]:
    """Return the width of a column (an hour, for a day), and how many rotations come due in each from `now` on.

    `turns`: for each job when it comes due next, and how often from then on.
    """
    width = next((step for step in STEPS if horizon <= step * COLUMNS), horizon / COLUMNS)
    edges = [now + width * number for number in range(ceil(horizon / width) + 1)]
    sums = [sum(rotations(at, every, edge) for at, every in turns) for edge in edges[1:]]
    return width, tuple(after - before for before, after in zip([0, *sums], sums, strict=False))


def no_promise(forecast: Forecast, _now: datetime) -> str | None:
    """A token that lives too short a time, as `due` has it."""
    if forecast.lifetime is None or forecast.lifetime >= due.SHORTEST:
        return None
    return f"its tokens live {span(forecast.lifetime)}: nothing is promised to readers"


def cut(forecast: Forecast, _now: datetime) -> str | None:
    """`renew_before` asks for more than a quarter of the lifetime."""
    margin, lifetime, promised = forecast.job.renew_before, forecast.lifetime, forecast.promised
    if margin is None or lifetime is None or promised is None or promised >= due.renew_before(lifetime, margin):
        return None
    return (
        f"readers are promised {span(promised)} and not renew_before: a quarter of the {span(lifetime)} that it lives"
    )


def lagging(forecast: Forecast, _now: datetime) -> str | None:
    """Readers read too seldom for what they are promised."""
    lag, promised = forecast.job.reader_lag, forecast.promised
    if lag is None or promised is None or promised >= lag:
        return None
    return f"readers are promised {span(promised)} and read every {span(lag)} (reader_lag): they may hold a dead token"


def ending(forecast: Forecast, now: datetime) -> str | None:
    """A refresh token, a client secret or a certificate is about to die."""
    said = (
        f"{perishable.why(one)}; it ends at {stamp(one.ends_at)}"
        for one in forecast.behind
        if one.ends_at is not None and perishable.is_soon(one, now)
    )
    return "; ".join(said) or None


# Whatever else can be foreseen of one job alone is a rule more.
WARNINGS: Final[Mapping[str, Callable[[Forecast, datetime], str | None]]] = {
    "no_promise": no_promise,
    "renew_before": cut,
    "reader_lag": lagging,
    "secret_expiring": ending,
}


def warned(forecasts: Iterable[Forecast], now: datetime) -> tuple[Forecast, ...]:
    """Return `forecasts` with all that is to be said of each, and of those that come due together."""
    known = tuple(forecasts)
    crowds = _crowds(known, now)
    return tuple(replace(one, warnings=_of(one, now) | crowds.get(one.job.name, {})) for one in known)


def _of(forecast: Forecast, now: datetime) -> dict[str, str]:
    said = ((code, rule(forecast, now)) for code, rule in WARNINGS.items())
    return {code: text for code, text in said if text is not None}


def _crowds(forecasts: tuple[Forecast, ...], now: datetime) -> dict[str, dict[str, str]]:
    """Return the warning of each job that comes due in one minute with many others of its host."""
    spots = {one.job.name: (one.job.host, max(one.at - now, NONE) // MINUTE) for one in forecasts if one.at is not None}
    counts = Counter(spots.values())
    return {
        name: {"crowd": f"{counts[spot]} jobs of {spot[0]} come due within one minute, in {span(spot[1] * MINUTE)}"}
        for name, spot in spots.items()
        if counts[spot] > CROWD
    }
