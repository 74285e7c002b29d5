"""A schedule that is taken means to the scheduler what it means to cron."""

from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given
from hypothesis import strategies as st

from refresher.config import cron
from refresher.config.words import BadValueError

START = datetime(2026, 11, 21, 10, 7, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0 3 * * *", "0 3 * * *"),
        ("  0   3 * *  * ", "0 3 * * *"),
        ("*/15 0-6,12 1 JAN-mar *", "*/15 0-6,12 1 jan-mar *"),
        ("0 0 29 feb *", "0 0 29 feb *"),
        ("0 3 15,31 2 *", "0 3 15,31 2 *"),
        ("0 3 31 2,3 *", "0 3 31 2,3 *"),
        ("0 3 * * 0", "0 3 * * sun"),
        ("0 3 * * 7", "0 3 * * sun"),
        ("0 3 * * 1-5", "0 3 * * mon,tue,wed,thu,fri"),
        ("0 3 * * MON-FRI", "0 3 * * mon,tue,wed,thu,fri"),
        ("0 3 * * fri-sun", "0 3 * * fri,sat,sun"),
        ("0 3 * * sun-tue", "0 3 * * sun,mon,tue"),
        ("0 3 * * sun", "0 3 * * sun"),
        ("0 3 * * 5-7", "0 3 * * fri,sat,sun"),
        ("0 3 * * */2", "0 3 * * sun,tue,thu,sat"),
        ("0-30/10,59 3 * * 0-6/3", "0-30/10,59 3 * * sun,wed,sat"),
    ],
)
def test_taken(text, meant):
    assert cron.schedule(text) == meant


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("0 3 * *", "five fields"),
        ("0 0 3 * * *", "five fields"),
        ("@daily", "five fields"),
        ("", "empty"),
        (3, "text"),
        ("60 3 * * *", "minute must lie between 0 and 59$"),
        ("0 24 * * *", "hour must lie"),
        ("0 3 0 * *", "day of the month must lie between 1 and 31$"),
        ("0 3 * 13 *", "month must lie between 1 and 12, or jan to dec"),
        ("0 3 * foo *", "month must lie"),
        ("0 3 * * 8", "day of the week must lie between 0 and 7, or sun to sat"),
        ("0 3 * * mond", "day of the week must lie"),
        ("5-1 3 * * *", "runs backwards"),
        ("0 3 * * fri-mon", "runs backwards"),
        ("*/0 3 * * *", "step"),
        ("*/60 3 * * *", "step"),
        ("5/15 3 * * *", "step"),
        ("1-5/9 3 * * *", "step"),
        ("*/100 3 * * *", "minute must be"),
        ("*-5 3 * * *", "minute must be"),
        ("1,,2 3 * * *", "minute must be"),
        ("a 3 * * *", "minute must lie"),
        ("0 3 L * *", "month must lie between 1 and 31"),
        ("0 3 ? * *", "day of the month must be"),
        ("0 3 13 * fri", "leave one at"),
        ("0 3 31 2 *", "months do not have"),
        ("0 3 31 4,6 *", "months do not have"),
        ("0 3 30 feb *", "months do not have"),
    ],
)
def test_refused(value, why):
    with pytest.raises(BadValueError, match=why):
        cron.schedule(value)


def field(least: int, most: int) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
    stepped = st.tuples(st.just("*") | span, st.integers(1, 30)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    return st.just("*") | st.lists(number.map(str) | span | stepped, min_size=1, max_size=3).map(",".join)


schedules = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)).map(" ".join)


@given(schedules)
def test_what_is_taken_comes_round_when_cron_says(text):
    try:
        meant = cron.schedule(text)
    except BadValueError:
        return
    assert CronTrigger.from_crontab(meant, timezone=UTC).get_next_fire_time(None, START) == _next(text)


def _next(text: str) -> datetime:
    """Return when cron(8) would come round: each field holds the moment's value, Sunday being 0 and 7."""
    limits = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    minutes, hours, days, months, weekdays = (_values(*each) for each in zip(text.split(), limits, strict=True))
    for ahead in range(366 * 8 + 2):  # 29 February comes round in eight years at most
        day = START.date() + timedelta(days=ahead)
        weekday = day.isoweekday()
        if day.day in days and day.month in months and (weekday in weekdays or (weekday == 7 and 0 in weekdays)):
            moments = (datetime(day.year, day.month, day.day, h, m, tzinfo=UTC) for h in hours for m in minutes)
            if found := min((moment for moment in moments if moment >= START), default=None):
                return found
    raise AssertionError(text)


def _values(part: str, limits: tuple[int, int]) -> set[int]:
    found: set[int] = set()
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        ends = limits if span == "*" else (int(first), int(last or first))
        found.update(range(ends[0], ends[1] + 1, int(step or 1)))
    return found


@pytest.mark.parametrize("name", ["UTC", "Europe/Lisbon", "Etc/GMT+3"])
def test_a_time_zone(name):
    assert cron.timezone(name) == name


@pytest.mark.parametrize(
    "value", ["", "Europe", "Europe/Lisboa", "/etc/localtime", "../UTC", "europe", "WET-1", "\n", 1]
)
def test_no_time_zone(value):
    with pytest.raises(BadValueError):
        cron.timezone(value)
