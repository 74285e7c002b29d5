"""HTTP-dates, and what a Date says of two clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.http_date import ahead, moment

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOMENTS = st.datetimes(timezones=st.timezones() | st.just(UTC))


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 21 Nov 2026 12:00:00 GMT",
        "Saturday, 21-Nov-26 12:00:00 GMT",
        "Sat Nov 21 12:00:00 2026",
        "Sat, 21 Nov 2026 13:00:00 +0100",
        "Sat, 21 Nov 2026 12:00:00 -0000",
    ],
)
def test_every_form_of_a_date_is_read(text):
    assert moment(text) == NOON


@pytest.mark.parametrize(
    "text", ["", "now", "3600", "Sat, 99 Nov 2026 12:00:00 GMT", "Sat, 21 Nov 2026 12:00:00 +9999999"]
)
def test_what_is_no_date_says_nothing(text):
    assert moment(text) is None


@given(st.text())
def test_no_text_raises(text):
    assert moment(text) is None or moment(text).tzinfo is not None


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (NOON, 0 * SECOND),
        (NOON + 5 * SECOND, 0 * SECOND),
        (NOON - SECOND, 0 * SECOND),
        (NOON - 31 * SECOND, 30 * SECOND),
        (NOON + 15 * SECOND, -10 * SECOND),
    ],
    ids=["as it was sent", "as it came", "rounded down", "behind", "ahead"],
)
def test_a_date_between_request_and_reply_shows_no_skew(stated, expected):
    assert ahead(sent=NOON, stated=stated, received=NOON + 5 * SECOND) == expected


@given(sent=MOMENTS, stated=MOMENTS, took=st.timedeltas(timedelta(), timedelta(minutes=1)))
def test_what_is_within_one_second_of_both_is_no_skew_and_the_rest_is_as_far_as_it_is(sent, stated, took):
    try:
        received = sent + took
    except OverflowError:
        received = sent
    skew = ahead(sent=sent, stated=stated, received=received)
    if sent - SECOND <= stated <= received:
        assert skew == timedelta()
    else:
        assert skew == (sent - stated - SECOND if stated < sent else received - stated)
