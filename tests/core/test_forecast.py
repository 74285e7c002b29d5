"""What is foreseen comes true: an outage of the length that a plan names harms no reader, whenever it begins."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresher.core import forecast
from refresher.core.forecast import CROWD, Forecast, endured, load, pace, rotations, warned
from refresher.core.job import Margin, Times
from refresher.core.perishable import client_secret
from refresher.standing import plan_of
from tests.core.builders import NOW, a_job
from tests.fakes.http import answer
from tests.rotation.house import House, job
from tests.rotation.stage import IDENTITY

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def a_forecast(name="crm", **changes) -> Forecast:
    values = {"at": NOW, "reason": "due", "warnings": {}, "job": a_job(name=name, **changes.pop("of", {}))}
    return Forecast(**values | changes)


@settings(deadline=None, max_examples=20)
@given(
    st.sampled_from([60, 300, 3600, 4 * 3600]),
    st.sampled_from(["provider", "vault"]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([None, 0.05, 0.2]),
)
def test_an_outage_within_the_budget_is_noticed_by_no_reader(lifetime, who, early, lag):
    """It begins as the job comes due, or so much of its length earlier; readers lag behind."""
    behind = None if lag is None else timedelta(seconds=lifetime * lag)

    async def story():
        one = job("crm", reader_lag=behind, renew_before=Margin(share=0.24))
        house = House(one, lifetime=lifetime, drift=timedelta(days=99))
        async with house.serving():
            await house.clock.advance(SECOND)
            charge = house.roster.charges["crm"]
            made = plan_of(charge, house.clock.now(), IDENTITY.holder)
            budget, ends = made.outage_budget, made.expires_at
            begins = max(made.at - budget * early, house.clock.now() + SECOND)
            await house.clock.advance(begins - house.clock.now() - timedelta(milliseconds=1))
            if who == "provider":
                house.provider.refuse = lambda _asked: answer(503)
            else:
                house.store.away = True
            over = begins + budget - timedelta(milliseconds=1)
            await house.clock.advance(max(over - house.clock.now(), timedelta()))
            house.provider.refuse, house.store.away = lambda _asked: None, False
            await house.clock.advance(ends - (behind or timedelta()) - house.clock.now())
            return charge.expires_at > ends

    assert asyncio.run(story())


def test_the_shorter_the_lead_the_less_is_endured_and_never_less_than_nothing():
    assert endured(10 * MINUTE, timedelta()) == 10 * MINUTE - 10 * SECOND
    assert endured(10 * MINUTE, 5 * MINUTE) == 2.5 * MINUTE
    assert endured(5 * MINUTE, HOUR) == endured(timedelta(), timedelta()) == endured(-HOUR, timedelta()) == timedelta()


def test_the_pace_is_that_of_what_comes_round_first():
    plain = a_job()
    assert pace(plain, None, kept_alive=True, calendar=None) is None
    assert timedelta(minutes=40) < pace(plain, HOUR, kept_alive=False, calendar=None) < HOUR
    assert pace(plain, HOUR, kept_alive=False, calendar=20 * MINUTE) == 20 * MINUTE
    alive = a_job(times=Times(refresh_every=HOUR, max_age=3 * HOUR))
    assert pace(alive, DAY, kept_alive=True, calendar=None) == HOUR
    assert pace(alive, DAY, kept_alive=False, calendar=None) == 3 * HOUR


def test_the_load_counts_each_rotation_once():
    often, once, never = (NOW, 20 * MINUTE), (NOW + 5 * HOUR, None), (None, HOUR)
    width, counts = load([often, once, never], NOW, DAY)
    assert (width, counts) == (HOUR, (3, 3, 3, 3, 3, 4, *[3] * 18))
    assert sum(counts) == sum(rotations(*one, NOW + DAY) for one in (often, once, never)) == 73
    assert load([often], NOW, HOUR) == (5 * MINUTE, (1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0))
    for horizon, step in ((7 * DAY, 12 * HOUR), (30 * SECOND, MINUTE), (400 * DAY, 400 * DAY / 24)):
        width, counts = load([often], NOW, horizon)
        assert (width, len(counts)) == (step, -(-horizon // step))
        assert sum(counts) == rotations(*often, NOW + len(counts) * step)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"lifetime": 3 * SECOND}, "no_promise", "its tokens live 3s"),
        ({"lifetime": HOUR, "promised": 10 * MINUTE}, None, ""),
        (
            {"lifetime": HOUR, "promised": 15 * MINUTE, "of": {"renew_before": Margin(duration=HOUR)}},
            "renew_before",
            "promised 15m and not renew_before",
        ),
        ({"lifetime": HOUR, "promised": 10 * MINUTE, "of": {"reader_lag": HOUR}}, "reader_lag", "read every 1h"),
        ({"lifetime": HOUR, "promised": 10 * MINUTE, "of": {"reader_lag": MINUTE}}, None, ""),
        ({"of": {"reader_lag": MINUTE, "renew_before": Margin(duration=HOUR)}}, None, ""),
        ({"lifetime": HOUR, "promised": 15 * MINUTE, "of": {"renew_before": Margin(share=0.2)}}, None, ""),
    ],
)
def test_what_is_warned_of(changes, code, words):
    (made,) = warned([a_forecast(**changes)], NOW)
    assert list(made.warnings) == ([] if code is None else [code])
    assert words in "".join(made.warnings.values())


def test_each_warning_has_its_rule():
    assert set(forecast.WARNINGS) == {"no_promise", "renew_before", "reader_lag", "secret_expiring"}


def test_what_stands_behind_a_job_is_warned_of_when_it_ends_soon():
    secret = client_secret((NOW + 10 * DAY).date())
    (soon,) = warned([a_forecast(behind=(secret, client_secret((NOW + 99 * DAY).date())))], NOW)
    assert soon.warnings["secret_expiring"].startswith("the client secret runs out, and no new token is issued then: ")
    assert soon.warnings["secret_expiring"].endswith("; it ends at 2026-12-01T00:00:00Z")
    assert warned([a_forecast(behind=(secret,))], NOW - 30 * DAY)[0].warnings == {}


def test_a_crowd_is_many_of_one_host_in_one_minute():
    def some(count, host, at):
        url = {"token_url": f"https://{host}/token"}
        return [a_forecast(f"{host}-{at}-{number}", at=at, of=url) for number in range(count)]

    crowd = some(CROWD + 1, "a.example", NOW + 90 * SECOND)
    others = some(CROWD, "b.example", NOW + 90 * SECOND) + some(CROWD, "a.example", NOW + 300 * SECOND)
    made = warned([*crowd, *others, a_forecast("never", at=None)], NOW)
    told = [one.warnings["crowd"] for one in made if one.warnings]
    assert told == ["31 jobs of a.example come due within one minute, in 1m"] * 31
    late = warned(some(CROWD + 1, "a.example", NOW - HOUR), NOW)
    assert all("in 0s" in one.warnings["crowd"] for one in late)
