"""What a row and a job's page say: each state has words, and each trouble an advice."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from refresher.core.facts import TroubleKind
from refresher.core.shadow import Theirs
from refresher.web import words
from tests.core.builders import NOW, PLACE
from tests.core.test_view import WELL

MINUTE = timedelta(minutes=1)
GONE = replace(WELL, alive=False, expires_at=None)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (WELL, "30m left"),
        (replace(WELL, expires_at=NOW - 3 * MINUTE), "dead for 3m"),
        (replace(WELL, expires_at=None), "no end"),
        (GONE, "nothing there"),
        (replace(WELL, alive=None, expires_at=None), "not seen yet"),
    ],
)
def test_how_long_it_lives(view, said):
    assert words.left(view, NOW) == said


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (WELL, "renewed in 10m"),
        (replace(WELL, failures=2), "tried again in 10m"),
        (replace(WELL, renew_at=NOW), "due now"),
        (replace(WELL, state="paused"), "paused for 10m"),
        (replace(WELL, renew_at=None), "nothing planned"),
        (replace(WELL, renew_at=None, state="latched"), "waits for you"),
    ],
)
def test_what_comes_next(view, said):
    assert words.coming(view, NOW) == said


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"standing": "missing"}, "nothing there"),
        ({"standing": "unread", "error": "denied"}, "can't be read: denied"),
        ({"standing": "unknown"}, "no end known"),
        ({"standing": "well", "expires_at": NOW + 30 * MINUTE}, "30m left"),
        (
            {"standing": "short", "expires_at": NOW + 3 * MINUTE, "estimated": True},
            "3m left, by its age, less than promised",
        ),
        ({"standing": "dead", "expires_at": NOW - 3 * MINUTE}, "dead for 3m"),
    ],
)
def test_what_somebody_else_keeps_there(theirs, said):
    assert words.beside(Theirs(place=PLACE, **theirs), NOW) == said


@pytest.mark.parametrize("kind", get_args(TroubleKind))
def test_every_trouble_has_its_reason_and_an_advice(kind):
    view = replace(WELL, state="retrying", failures=1, kind=kind, error="http_503", status=503)
    assert words.why(view, "as the log said") == "as the log said"
    assert "http_503" in words.why(view, "") or kind == "internal"
    assert len(words.advice(view, NOW)) > 50


def test_what_stands_there_and_is_not_ours():
    view = replace(WELL, state="unmanaged")
    assert words.why(view, "a secret stands there") == "a secret stands there"
    assert "adopt = true" in words.advice(view, NOW)


def test_where_nothing_failed_there_is_nothing_to_say():
    assert (words.why(WELL, "of yesterday"), words.advice(WELL, NOW)) == ("", "")
    assert "check --live" in words.advice(GONE, NOW)
