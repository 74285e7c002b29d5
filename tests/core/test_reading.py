"""What a reader makes of what it finds."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import due, reading
from refresher.core.job import Margin
from refresher.core.model import Absent, Found
from refresher.core.published import stamp
from refresher.core.reading import Expected, Reading, judged, line, verdict
from refresher.core.secret import Secret
from tests.core.builders import NOW

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def found(left: timedelta, lifetime: timedelta | None = HOUR, **members: str) -> Found:
    data = {"access_token": "AT", "expires_at": stamp(NOW + left)}
    if lifetime is not None:
        data["issued_at"] = stamp(NOW + left - lifetime)
    return Found(version=1, data={name: Secret(text) for name, text in (data | members).items() if text})


def judge(secret, **expected) -> Reading:
    return judged("crm", "secret/tokens/crm", secret, Expected(**expected), NOW)


@pytest.mark.parametrize(
    ("left", "lifetime", "expected", "state"),
    [
        (60, 60, {}, "ok"),
        (10, 60, {}, "ok"),
        (9.8, 60, {}, "warning"),
        (4.9, 60, {}, "critical"),
        (0, 60, {}, "critical"),
        (-5, 60, {}, "critical"),
        (24, 480, {}, "ok"),
        (14, 60, {"margin": Margin(share=0.24)}, "warning"),
        (16, 60, {"lag": 5 * MINUTE}, "ok"),
        (8, 60, {"lag": 9 * MINUTE}, "critical"),
        (8, 60, {"lag": HOUR}, "critical"),
        (10, 60, {"lag": HOUR}, "ok"),
        (9, None, {}, "warning"),
        (11, None, {}, "ok"),
        (20, 60, {"warning": 30 * MINUTE}, "warning"),
        (4.9, 60, {"warning": 30 * MINUTE}, "critical"),
        (20, 60, {"critical": 30 * MINUTE}, "critical"),
        (20, 60, {"warning": 30 * MINUTE, "critical": 25 * MINUTE}, "critical"),
        (4, 60, {"warning": 3 * MINUTE}, "ok"),
        (2, 60, {"warning": 3 * MINUTE}, "critical"),
    ],
)
def test_less_than_promised_is_a_warning_and_less_than_half_of_it_critical(left, lifetime, expected, state):
    lived = None if lifetime is None else lifetime * MINUTE
    assert judge(found(left * MINUTE, lived), **expected).state == state


def test_what_is_no_token_and_what_has_no_end():
    assert judge(Absent(version=3)).why == "nothing stands there"
    assert judge(found(HOUR, access_token="")).state == "critical"
    endless = judge(found(HOUR, expires_at=""))
    assert (endless.state, endless.as_json()["life_left_s"]) == ("ok", None)
    assert judge(found(HOUR, issued_at=stamp(NOW + 2 * HOUR))).state == "ok", "an issue after the end is no lifetime"


@given(st.integers(6, 10**7), st.floats(0, 1), st.sampled_from([None, 1, 600, 10**6]))
def test_a_token_that_keeps_its_promise_is_well_and_a_dead_one_never(lifetime, share, lag):
    life, behind = timedelta(seconds=lifetime), None if lag is None else timedelta(seconds=lag)
    promised = due.promised(life, None)
    assert judge(found(promised + (life - promised) * share + timedelta(seconds=1), life), lag=behind).state == "ok"
    assert judge(found(-life * share, life), lag=behind).state == "critical"


def test_one_line_says_the_state_the_matter_and_the_figures():
    well = judge(found(42 * MINUTE))
    assert line([well]) == "REFRESHER OK - crm: it lives 42m | 'crm'=2520s;590:;300:;0"
    other = judged("erp", "secret/tokens/erp", found(50 * MINUTE), Expected(), NOW)
    assert line([other, well]).startswith("REFRESHER OK - 2 tokens, crm has least: it lives 42m | 'crm'=2520s;")
    assert line([]) == "REFRESHER UNKNOWN - 0 tokens"
    late = judged("erp", "secret/tokens/erp", found(8 * MINUTE), Expected(), NOW)
    dead = judged("crm.eu", "secret/tokens/eu", found(-5 * MINUTE), Expected(), NOW)
    blind = Reading(name="x", path="secret/x", state="unknown", why="denied")
    endless = judged("z", "secret/z", found(HOUR, expires_at=""), Expected(), NOW)
    assert line([well, late, dead, blind, endless]) == (
        "REFRESHER CRITICAL - 3 of 5: crm.eu: it is dead since 5m; erp: it lives 8m, less than 9m 50s; x: denied"
        " | 'crm'=2520s;590:;300:;0 'crm.eu'=-300s;590:;300:;0 'erp'=480s;590:;300:;0 'x'=U 'z'=U"
    )
    assert [verdict(some) for some in ([well], [well, late], [late, blind], [blind, well], [late, dead])] == [
        "ok",
        "warning",
        "warning",
        "unknown",
        "critical",
    ]
    many = [judged(f"job-{n}", "p", Absent(version=0), Expected(), NOW) for n in range(7)]
    assert "7 of 7: job-0: nothing stands there; " in line(many)
    assert " and 2 more | " in line(many)


def test_the_exits_are_those_of_nagios():
    assert reading.EXITS == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
