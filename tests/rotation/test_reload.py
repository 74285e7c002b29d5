"""Another configuration, at any moment: no job is lost, none disturbed, and nothing that was issued forgotten."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.core.settings import Limits
from tests.fakes.clock import settle
from tests.fakes.http import answer
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, many, path_of, refreshing, state_of, unwritable


async def test_a_job_that_is_added_gets_its_token_at_once():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.update(job("a"), job("b"))
        await house.advance(SECOND)
        assert house.token("b")
        assert house.asked("a") == 1


async def test_a_job_that_is_removed_is_left_alone():
    house = House(job("a"), job("b"))
    async with house.serving():
        await house.advance(MINUTE)
        house.update(job("a"))
        assert set(house.roster.charges) == {"a"}
        await house.advance(3 * HOUR)
        assert house.asked("b") == 1


@pytest.mark.fault("F53")
@pytest.mark.parametrize("wait", [0, 0.5, 1.5, 2.5], ids=["queued", "looking", "asking", "writing"])
@pytest.mark.parametrize("change", ["removed", "changed", "removed and added"])
async def test_a_job_that_is_reloaded_at_any_moment_is_lost_at_none(wait, change):
    house = House(refreshing("a"), job("b"))
    house.provider.refreshes = True
    house.store.latency = house.provider.latency = SECOND
    async with house.serving():
        await house.clock.advance(timedelta(seconds=wait))
        changed = refreshing("a", scope=("wide",)) if change == "changed" else refreshing("a")
        house.update(changed, job("b")) if change == "changed" else house.update(job("b"))
        await house.clock.advance(timedelta(seconds=0.3))
        if change == "removed and added":
            house.update(refreshing("a"), job("b"))
        await house.advance(MINUTE)
        newest = house.provider.clients["a"].delivered
        kept = (house.store.stands(state_of("a")) or {}).get("refresh_token")
        assert kept == newest, "what was issued is kept, whatever became of its job"
        if change == "removed":
            assert set(house.roster.charges) == {"b"}
        else:
            assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"
        assert not house.provider.twice_at_once
    assert not house.provider.replayed


async def test_a_removed_job_stays_until_what_it_was_given_is_written():
    house = House(refreshing("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update()
        await house.advance(2 * HOUR)
        assert house.roster.charges["a"].pending
        house.store.before = lambda _deed, _place: None
        await house.advance(6 * SECOND)
        assert not house.roster.charges
        assert house.asked("a") == 1
    assert house.store.stands(state_of("a"))["refresh_token"] == "RT-a-1"


async def test_nothing_is_remembered_of_a_job_that_is_gone():
    house = House(refreshing("a"), refreshing("b"))
    house.provider.refreshes = True
    async with house.serving():
        await house.advance(MINUTE)
        assert all(charge.decided for charge in house.roster.charges.values())
        house.update(refreshing("b"))
        await house.advance(MINUTE)
        assert house.roster.charges.keys() == {"b"}, "a refresh token is among what was decided by"


async def test_a_removed_job_that_comes_back_meanwhile_goes_on():
    house = House(refreshing("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update()
        await house.advance(MINUTE)
        house.update(refreshing("a"))
        house.store.before = lambda _deed, _place: None
        await house.advance(3 * HOUR)
        assert house.state("a") == "fresh"
        assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"


async def test_a_changed_job_forgets_neither_what_was_refused_nor_what_was_issued():
    house = House(refreshing("a"))
    house.provider.latency = 2 * SECOND
    house.provider.refuse = lambda _asked: answer(400, {"error": "invalid_grant"})
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update(refreshing("a", adopt=True))
        await house.advance(HOUR)
        assert house.state("a") == "latched"
        assert house.asked("a") == 1, "a refused password is not sent again because of another key"


async def test_a_job_that_moves_to_another_host_is_asked_for_there():
    house = House(*many(9, "slow"), limits=Limits(per_host=1))
    house.provider.latency = MINUTE
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update(*[replace(one, token_url="https://fast.example.com/token") for one in house.jobs.values()])
        await house.advance(SECOND)
        assert house.provider.under_way["fast.example.com"] == 1


async def test_a_job_that_is_removed_while_somebody_looks_at_it_harms_nobody():
    house = House(job("a"), job("b"))
    async with house.serving():
        await house.advance(MINUTE)
        house.store.latency = SECOND
        house.store.delete(path_of("a"))
        look = asyncio.ensure_future(house.roster.look("a"))
        await settle()
        house.update(job("b"))
        await house.advance(3 * SECOND)
        await look
        assert set(house.roster.charges) == {"b"}
        await house.advance(2 * HOUR)
        assert house.state("b") == "fresh"
