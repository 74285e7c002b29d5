"""Timelines as shapes."""

import re
from datetime import timedelta

from refresher.core.timeline import Span, Timeline
from refresher.web.drawing import AHEAD, CROWD, GAP_LEAST, draw
from refresher.web.drawing import hours as hours_of
from tests.core.builders import NOW

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)


def a_line(*, lives=(), gaps=(), failed=()) -> Timeline:
    return Timeline(since=NOW - DAY, now=NOW, lives=tuple(lives), gaps=tuple(gaps), failed=tuple(failed))


def boxes(path: str) -> list[tuple[float, float]]:
    """Return left edge and width of each box."""
    found = re.findall(r"M([\d.]+) \d+h([\d.]+)v\d+H[\d.]+z", path)
    assert "".join(re.findall(r"M[\d.]+ \d+h[\d.]+v\d+H[\d.]+z", path)) == path
    return [(float(left), float(width)) for left, width in found]


def hours(count: int, life: timedelta):
    return [Span(begin=NOW - number * HOUR, end=NOW - number * HOUR + life) for number in reversed(range(count))]


def test_each_token_is_a_box_from_issue_to_expiry_and_the_next_is_below():
    drawn = draw(a_line(lives=hours(4, HOUR * 1.2)), due=NOW + HOUR)
    unit = 1000 / ((DAY + AHEAD) / HOUR)
    above, below = (boxes(lane) for lane in drawn.lanes)
    assert [round(left / unit, 1) for left, _ in above] == [21, 23]
    assert [round(left / unit, 1) for left, _ in below] == [22, 24]
    assert all(abs(width / unit - 1.2) < 0.01 for _, width in above + below)
    assert abs(drawn.now / unit - 24) < 0.01
    assert abs(drawn.due / unit - 25) < 0.01
    assert drawn.says == "4 tokens in 24 hours, no gap"


def test_a_short_gap_is_seen_and_told():
    gap = Span(begin=NOW - HOUR, end=NOW - HOUR + timedelta(minutes=3))
    drawn = draw(a_line(gaps=[gap], failed=[NOW - HOUR]), due=None)
    assert boxes(drawn.gaps) == [(boxes(drawn.gaps)[0][0], GAP_LEAST)]
    assert drawn.says == "0 tokens in 24 hours, readers found nothing alive for 3m (09:00:00 to 09:03:00), 1 failed try"
    assert drawn.due is None


def test_more_gaps_and_one_that_lasts():
    gaps = [Span(begin=NOW - 2 * HOUR, end=NOW), Span(begin=NOW - HOUR, end=NOW)]
    assert "(08:00:00 to now and 1 more)" in draw(a_line(gaps=gaps, failed=[NOW, NOW]), due=None).says
    assert "2 failed tries" in draw(a_line(failed=[NOW, NOW]), due=None).says


def test_a_crowd_of_tokens_is_one_band_that_shows_its_gap():
    minute = timedelta(minutes=1)
    lives = [Span(begin=NOW - n * minute, end=NOW - n * minute + 2 * minute) for n in reversed(range(CROWD * 2))]
    del lives[100:110]
    (lane,) = draw(a_line(lives=lives), due=None).lanes
    assert len(boxes(lane)) == 2
    endless = [*lives, Span(begin=NOW - minute, end=None), Span(begin=NOW, end=NOW + minute)]
    assert len(boxes(draw(a_line(lives=endless), due=None).lanes[0])) == 2


def test_what_lies_outside_is_drawn_at_the_edge():
    drawn = draw(a_line(lives=[Span(begin=NOW - 3 * DAY, end=None)]), due=NOW + 3 * DAY)
    assert boxes(drawn.lanes[0]) == [(0.0, 1000.0)]
    assert drawn.due == 1000


def test_the_axis_has_every_sixth_hour():
    assert [label for _, label in hours_of(NOW)] == ["12:00", "18:00", "00:00", "06:00", "12:00"]


def test_no_hour_stands_where_the_next_column_begins():
    ends = (NOW + AHEAD).replace(hour=18, minute=0)
    names = {
        minutes: [label for _, label in hours_of(ends + timedelta(minutes=minutes) - AHEAD)] for minutes in (28, 91)
    }
    assert names == {28: ["18:00", "00:00", "06:00", "12:00"], 91: ["18:00", "00:00", "06:00", "12:00", "18:00"]}
