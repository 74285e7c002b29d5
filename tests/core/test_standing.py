"""What `status` and `plan` print: the promised shapes, and that a forecast equals the deed."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresher.core import forecast
from refresher.core.job import Margin, Times
from refresher.core.model import Location
from refresher.scheduler.cron import CronCalendar
from refresher.standing import plan_of, plan_rows, status_of
from tests.core.builders import NOW, PLACE
from tests.fakes.http import answer, lost
from tests.rotation.house import HOUR, SECOND, House, job
from tests.rotation.stage import IDENTITY, Stage, refreshing, refused, replaceable, token

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"
DAY = timedelta(days=1)
SPARE = Location(mount="secret", path="tokens/spare")


def shaped(name: str, row: dict[str, object]) -> dict[str, object]:
    jsonschema.validate(json.loads(json.dumps(row)), json.loads((SCHEMAS / f"{name}.json").read_text()))
    return row


def status(stage: Stage) -> dict[str, object]:
    return shaped("status", status_of(stage.charge, stage.clock.now(), IDENTITY.holder))


def plan(stage: Stage):
    now = stage.clock.now()
    made = plan_of(stage.charge, now, IDENTITY.holder)
    (row,) = plan_rows([made], now, DAY)
    shaped("plan", row)
    return made


def rotations(stage: Stage) -> int:
    made = plan(stage)
    return forecast.rotations(made.at, made.every, stage.clock.now() + DAY)


async def test_a_fresh_job():
    stage = Stage(token())
    assert (status(stage)["state"], plan(stage).reason) == ("unknown", "unknown")
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=10))
    row = status(stage)
    del row["last"], row["renew_at"]
    assert row == {
        "job": "crm",
        "provider": "oauth2",
        "state": "fresh",
        "expires_at": "2026-11-21T11:00:00Z",
        "life_left_s": 3000,
        "promised_s": 600,
        "failures": 0,
        "destinations": [{"path": "secret/tokens/crm", "version": 1, "error": None}],
        "secrets": [],
        "node": None,
        "shadow": None,
    }


@pytest.mark.parametrize(
    ("steps", "state", "error"),
    [
        ([answer(503)], "retrying", "http_503"),
        ([refused("invalid_client", 401)], "latched", "invalid_client"),
        ([lost()], "retrying", "transport"),
    ],
)
@pytest.mark.parametrize("wait", [0, 400])
async def test_a_job_in_trouble(steps, state, error, wait):
    stage = Stage(*steps)
    await stage.rotate()
    await stage.clock.advance(timedelta(seconds=wait))
    row = status(stage)
    assert (row["state"], row["failures"], row["promised_s"], row["expires_at"]) == (state, 1, None, None)
    assert plan(stage).reason in ("backoff", "missing")
    assert stage.charge.holding.error == error


@pytest.mark.parametrize("fault", ["denied", "away"])
async def test_a_job_that_nobody_could_look_at(fault):
    stage = Stage()
    if fault == "denied":
        stage.store.denied.add(PLACE.path)
    else:
        stage.store.away = True
    await stage.look()
    row = status(stage)
    assert (row["state"], row["destinations"]) == (
        "unknown",
        [{"path": "secret/tokens/crm", "version": None, "error": None}],
    )
    made = plan(stage)
    assert (made.at, made.reason, rotations(stage)) == (None, {"denied": "denied", "away": "transport"}[fault], 0)


async def test_halted_jobs():
    stage = Stage(refused("invalid_grant"), job=refreshing())
    await stage.rotate()
    assert (status(stage)["state"], status(stage)["renew_at"], plan(stage).at) == ("latched", None, None)
    strange = Stage()
    strange.store.put(PLACE, {"x": "y"})
    await strange.look()
    assert (status(strange)["state"], plan(strange).reason) == ("unmanaged", "unmanaged")


async def test_a_due_job_and_one_that_lacks_a_token():
    stage = Stage(token())
    await stage.look()
    assert (status(stage)["state"], plan(stage).at, rotations(stage)) == ("due", NOW, 1)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=55))
    assert (status(stage)["state"], plan(stage).reason) == ("due", "due")
    assert plan(stage).outage_budget == timedelta(minutes=4, seconds=50), "the last try may fall 10 s before the end"


async def test_the_shortest_of_several_destinations_counts():
    stage = Stage(token(1), token(2, lifetime=600), job=replaceable(destinations=(PLACE, SPARE)))
    await stage.rotate()
    stage.store.put(SPARE, stage.stands() | {"expires_at": "2026-11-21T10:20:00Z"})
    await stage.look()
    assert (status(stage)["expires_at"], status(stage)["promised_s"]) == ("2026-11-21T10:20:00Z", 300)
    assert plan(stage).lifetime == timedelta(minutes=20)


async def test_a_token_without_expiry_is_never_due():
    stage = Stage(token(lifetime=None))
    await stage.rotate()
    row, made = status(stage), plan(stage)
    assert (row["state"], row["renew_at"], row["life_left_s"], row["promised_s"]) == ("fresh", None, None, None)
    assert (made.at, made.reason, made.lifetime, rotations(stage), made.outage_budget) == (
        None,
        "no_expiry",
        None,
        0,
        None,
    )


async def test_an_expired_token_is_no_budget():
    stage = Stage(token())
    await stage.rotate()
    await stage.clock.advance(2 * HOUR)
    assert plan(stage).outage_budget == timedelta()
    assert status(stage)["life_left_s"] == -3600


@settings(deadline=None, max_examples=60)
@given(
    st.integers(6, 40 * 86_400),
    st.one_of(
        st.none(),
        st.integers(1, 86_400).map(lambda s: Margin(duration=timedelta(seconds=s))),
        st.floats(0.05, 0.9).map(lambda share: Margin(share=share)),
    ),
    st.floats(0, 0.999),
)
def test_a_forecast_equals_the_deed(lifetime, margin, elapsed):
    """Another process forecasts from what stands in Vault; the daemon, which has made it, acts by what it remembers."""

    async def story():
        house = House(job("crm", renew_before=margin), lifetime=lifetime, drift=timedelta(days=99))
        async with house.serving(sweeps=False):
            await house.clock.advance(timedelta(seconds=lifetime * 0.4 * elapsed))
            other = Stage(job=house.jobs["crm"], store=house.store)
            other.clock = house.clock
            other.rotation = other.rotation_of(None)
            await other.look()
            made = plan(other)
            due = made.at
            await house.clock.advance(due - house.clock.now() - timedelta(microseconds=10))
            assert house.asked("crm") == 1
            await house.clock.advance(timedelta(microseconds=20))
            assert house.asked("crm") == 2
            assert status(other)["renew_at"] == plan_rows([made], due, DAY)[0]["at"]
            return made

    made = asyncio.run(story())
    assert 2 <= forecast.rotations(made.at, made.every, made.at + timedelta(seconds=lifetime * 2)) <= 5
    assert timedelta() <= made.outage_budget <= timedelta(seconds=lifetime / 2)


async def test_the_forecast_of_a_day_counts_what_a_day_brings():
    house = House(*[job(f"job-{number:02}") for number in range(20)])
    async with house.serving(sweeps=False):
        await house.clock.advance(SECOND)
        now, charges = house.clock.now(), house.roster.charges
        plans = {name: plan_of(one, now, IDENTITY.holder) for name, one in charges.items()}
        planned = {name: forecast.rotations(one.at, one.every, now + DAY) for name, one in plans.items()}
        await house.clock.advance(DAY)
        made = {name: house.asked(name) - 1 for name in house.jobs}
    assert all(abs(planned[name] - made[name]) <= 1 for name in made), (planned, made)


async def test_a_calendar_is_planned_by():
    stage = Stage(token(lifetime=30 * 86_400), job=replaceable(times=Times(schedule="0 */6 * * *")))
    stage.rotation = stage.rotation_of(stage.http)
    await stage.rotate()
    now = stage.clock.now()
    made = plan_of(stage.charge, now, IDENTITY.holder, CronCalendar())
    assert made.every == timedelta(hours=6)
    never = plan_of(stage.charge, now, IDENTITY.holder, Never())
    assert never.every > 20 * DAY


class Never:
    def after(self, _schedule, _timezone, _moment):
        return None
