"""The lives of tokens and the gaps between them, from what is on record."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.timeline import Attempt, Span, timeline
from tests.core.builders import NOW

MINUTE = timedelta(minutes=1)
SINCE = NOW - timedelta(hours=24)


def at(minutes: float):
    """That many minutes ago."""
    return NOW - minutes * MINUTE


def written(ago: float, life: float | None = 60, *, took: float = 0) -> Attempt:
    ends = None if life is None else at(ago + took - life)
    return Attempt(began=at(ago + took), at=at(ago), written=True, expires_at=ends)


def failed(ago: float) -> Attempt:
    return Attempt(began=at(ago), at=at(ago), written=False, expires_at=at(ago - 5))


def line(*attempts: Attempt, held: Span | None = None):
    return timeline(attempts, held=held, since=SINCE, now=NOW)


def test_one_token_after_the_other_leaves_no_gap():
    drawn = line(written(100), written(50), written(5))
    assert [(one.begin, one.end) for one in drawn.lives] == [(at(100), at(40)), (at(50), at(-10)), (at(5), at(-55))]
    assert drawn.gaps == ()
    assert drawn.dead_for() == timedelta()


def test_a_gap_lasts_from_the_end_of_one_to_the_writing_of_the_next():
    drawn = line(written(100), failed(42), failed(41), written(30, took=2))
    assert drawn.gaps == (Span(begin=at(40), end=at(30)),)
    assert drawn.dead_for() == 10 * MINUTE
    assert drawn.failed == (at(42), at(41))
    assert drawn.lives[1].begin == at(32), "a life begins when its token was asked for"


def test_a_gap_that_lasts_ends_now():
    assert line(written(100)).gaps == (Span(begin=at(40), end=NOW),)


def test_what_was_before_the_day_tells_what_lived_then_and_no_more():
    day = 24 * 60
    drawn = line(written(day + 90), written(day - 30, 2 * day))
    assert drawn.gaps == (Span(begin=SINCE, end=at(day - 30)),)
    assert len(drawn.lives) == 1, "the first was dead before"
    assert line(failed(day + 1)).failed == ()


def test_nothing_is_said_before_the_first_token():
    assert line(failed(30), written(20)).gaps == ()
    assert line() == timeline((), held=None, since=SINCE, now=NOW)
    assert line().lives == ()


def test_a_token_without_an_end_leaves_no_gap():
    drawn = line(written(100, None), written(10))
    assert drawn.gaps == ()
    assert drawn.lives[0] == Span(begin=at(100), end=None)
    assert drawn.lives[0].length() == timedelta()


def test_what_stands_there_counts_where_it_is_not_on_record():
    mine, strange = Span(begin=at(30.01), end=at(-30)), Span(begin=at(10), end=at(-90))
    assert len(line(written(30, took=0.02), held=mine).lives) == 1
    assert line(written(100), held=strange).gaps == (Span(begin=at(40), end=at(10)),)
    assert line(held=strange).lives == (strange,)


@given(st.lists(st.tuples(st.integers(0, 3000), st.one_of(st.none(), st.integers(1, 600)), st.booleans())))
def test_gaps_are_in_order_within_the_day_and_no_token_lives_in_one(found):
    ordered = sorted(found, key=lambda one: -one[0])
    drawn = line(*(written(ago, life) if well else failed(ago) for ago, life, well in ordered))
    edges = [edge for gap in drawn.gaps for edge in (gap.begin, gap.end)]
    assert edges == sorted(edges)
    assert all(SINCE <= edge <= NOW for edge in edges)
    for gap in drawn.gaps:
        middle = gap.begin + gap.length() / 2
        newest = [life for ago, life, well in ordered if well and at(ago) <= middle][-1]
        last = max(at(ago) for ago, _, well in ordered if well and at(ago) <= middle)
        assert newest is not None
        assert last + newest * MINUTE <= middle


@pytest.mark.parametrize("took", [0, 3])
def test_the_same_record_is_the_same_line(took):
    assert line(written(30, took=took)) == line(written(30, took=took))
