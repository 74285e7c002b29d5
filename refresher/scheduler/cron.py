"""The calendar: when a cron expression comes round, in its time zone (APScheduler's trigger)."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, Protocol
from zoneinfo import ZoneInfo

HOUR: Final = timedelta(hours=1)
TICK: Final = timedelta(microseconds=1)


class _Trigger(Protocol):
    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None: ...


class CronCalendar:
    """ports.Calendar over APScheduler's CronTrigger."""

    def after(self, schedule: str, timezone: str, moment: datetime) -> datetime | None:
        """Return the first time after `moment`, in UTC; None when it never comes round. Raises ValueError."""
        trigger, probe = _trigger(schedule, timezone), moment + TICK
        while (found := trigger.get_next_fire_time(None, probe)) is not None and found.astimezone(UTC) <= moment:
            probe += HOUR  # in the hour that a clock going back repeats, the trigger names the time that was
        return None if found is None else found.astimezone(UTC)


@cache
def _trigger(schedule: str, timezone: str) -> _Trigger:
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  # for those who have a schedule

    trigger: _Trigger = CronTrigger.from_crontab(schedule, timezone=ZoneInfo(timezone))
    return trigger
