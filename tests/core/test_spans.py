"""Spans in words."""

from datetime import timedelta

import pytest

from refresher.core.spans import span


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0s"),
        (9.4, "9s"),
        (60, "1m"),
        (3130, "52m 10s"),
        (3601, "1h"),
        (532_800, "6d 4h"),
        (-90, "-1m 30s"),
    ],
)
def test_two_units_at_most(seconds, words):
    assert span(None if seconds is None else timedelta(seconds=seconds)) == words
