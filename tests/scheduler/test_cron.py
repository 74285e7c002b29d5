"""The calendar over a real time zone: the hour that does not exist, the hour that comes twice, and the leap day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.scheduler.cron import CronCalendar


@pytest.mark.fault("F28")
@pytest.mark.parametrize(
    ("schedule", "zone", "moment", "after"),
    [
        ("0 3 * * *", "UTC", "2026-11-21T02:59:59Z", "2026-11-21T03:00:00Z"),
        ("0 3 * * *", "UTC", "2026-11-21T03:00:00Z", "2026-11-22T03:00:00Z"),
        ("0 3 * * *", "Europe/Amsterdam", "2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z"),
        ("30 2 * * *", "Europe/Amsterdam", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),  # 02:30 is skipped
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
    ],
)
def test_the_next_time(schedule, zone, moment, after):
    found = CronCalendar().after(schedule, zone, datetime.fromisoformat(moment))
    assert found == datetime.fromisoformat(after)
    assert found.tzinfo == UTC


def test_an_hour_that_comes_twice_rings_within_the_day():
    calendar, moment = CronCalendar(), datetime(2026, 10, 24, 12, tzinfo=UTC)
    first = calendar.after("30 2 * * *", "Europe/Amsterdam", moment)
    second = calendar.after("30 2 * * *", "Europe/Amsterdam", first)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second in (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC))


@given(
    st.integers(0, 2 * 365 * 86_400),
    st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 3 1 * *"]),
)
def test_it_is_always_later(seconds, schedule):
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert moment < CronCalendar().after(schedule, "Europe/Amsterdam", moment) < moment + timedelta(days=32)


def test_a_wrong_expression_is_refused():
    with pytest.raises(ValueError, match=r"61"):
        CronCalendar().after("61 * * * *", "UTC", datetime(2026, 11, 21, tzinfo=UTC))
