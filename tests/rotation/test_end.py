"""The end: nothing new begins, what is under way is finished, and what was issued is written."""

from datetime import timedelta

import pytest

from refresher.core.settings import Limits
from tests.rotation.house import HOUR, MINUTE, SECOND, House, many, refreshing, state_of, unwritable


async def test_an_idle_roster_stops_at_once():
    house = House(*many(5))
    async with house.serving():
        await house.advance(MINUTE)
        house.stop.set()
        await house.finished(timedelta(seconds=0.001))


@pytest.mark.fault("F5")
async def test_a_walk_under_way_is_finished_and_nothing_new_begins():
    house = House(*many(6), limits=Limits(per_host=2))
    house.provider.latency = 10 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 2
        house.stop.set()
        await house.finished(10 * SECOND)
    assert len(house.provider.asked) == len(house.written) == 2


async def test_a_stop_does_not_wait_for_a_vault_that_hangs_at_the_start():
    house = House(*many(100))
    house.store.latency = 20 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.finished(timedelta(seconds=0.001))
        assert not house.ready.is_set()


async def test_an_unwritten_token_that_can_be_had_again_is_tried_for_35_seconds():
    house = House(*many(40, *"abcdefghij"))
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 40
        house.stop.set()
        began = house.clock.monotonic()
        await house.finished(40 * SECOND)
        assert 34 <= house.clock.monotonic() - began <= 37
    assert len(house.provider.asked) == 40


async def test_the_end_does_not_wait_for_a_vault_that_is_gone():
    house = House(*many(40, *"abcdefghij"))
    house.provider.latency = 2 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        house.store.away = True
        house.stop.set()
        await house.finished(40 * SECOND)
    assert not house.written


async def test_an_unwritten_token_that_can_be_had_again_is_written_when_vault_comes_back_in_time():
    house = House(*many(40, *"abcdefghij"))
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.clock.advance(20 * SECOND)
        house.store.before = lambda _deed, _place: None
        await house.finished(3 * SECOND)
    assert len(house.written) == 40


async def test_an_unwritten_token_that_cannot_be_had_again_is_waited_for_as_long_as_it_takes():
    house = House(refreshing("semansys"), *many(3))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.clock.advance(2 * HOUR)
        assert not house.serve.done()
        asked = len(house.provider.asked)
        house.store.before = lambda _deed, _place: None
        await house.finished(3 * SECOND)
        assert len(house.provider.asked) == asked, "nothing new was begun for it"
    assert house.store.stands(state_of("semansys"))["refresh_token"] == "RT-semansys-1"


async def test_the_end_is_not_late_for_many_slow_writes():
    """Each write hangs for ten seconds: one after the other they would take minutes."""
    house = House(*many(64, *"abcdefghijklmnop"), limits=Limits(per_host=4, total=64))
    unwritable(house)
    house.provider.latency = SECOND / 2  # all have asked before the first of them meets a Vault that is away
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 64
        house.store.latency = 20 * SECOND
        house.stop.set()
        await house.finished(50 * SECOND)
