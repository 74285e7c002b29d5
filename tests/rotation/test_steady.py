"""A bug in what is nobody's own: bell, ledger, rounds. It is told, and everything goes on."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from refresher.steady import LONGEST, steady
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.http import answer
from tests.fakes.ledger import FakeLedger
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job
from tests.rotation.stage import Memory

pytestmark = pytest.mark.fault("F61")


class Once:
    """A function that raises at its first call."""

    def __init__(self, function, error):
        self.function, self.error = function, error

    def __call__(self, *words, **more):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return self.function(*words, **more)


@pytest.mark.parametrize("error", [OSError("a fault"), MemoryError(), SystemExit("a fault")])
@pytest.mark.parametrize("deed", ["schedule", "due"])
async def test_a_bell_that_breaks_costs_no_token(deed, error):
    house = House(job("crm"), job("smart"), lifetime=60)
    async with house.serving(sweeps=False):
        await house.advance(10 * SECOND)
        setattr(house.scheduler, deed, Once(getattr(house.scheduler, deed), error))
        await house.clock.advance(10 * MINUTE)
        house.check()
        assert house.expired_seconds == 0
        assert (house.state("crm"), house.state("smart")) == ("fresh", "fresh")
    told = house.sink.named("failing")
    assert [(one.level, one.fields["type"]) for one in told] == [("error", type(error).__name__)]


async def test_a_ledger_that_breaks_steers_nobody():
    house = House(job("crm"), lifetime=60)
    house.ledger = FakeLedger()
    house.ledger.recall = house.ledger.note = Once(None, None)  # None can't be called: a bug at each call
    async with house.serving():
        await house.advance(HOUR)
        assert house.expired_seconds == 0
        assert house.state("crm") == "fresh"
    assert house.sink.told() == [("failing", "internal")], "told once"


async def test_a_round_that_breaks_begins_again_and_is_told_once():
    clock, sink, begun = VirtualClock(), Memory(), []

    async def breaks():
        begun.append(clock.monotonic())
        await clock.sleep(SECOND)
        raise ZeroDivisionError

    task = asyncio.ensure_future(steady(breaks, clock=clock, sink=sink))
    await clock.advance(10 * MINUTE)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert [one.level for one in sink.events][:3] == ["error", "debug", "debug"]
    pauses = [later - sooner for sooner, later in pairwise(begun)]
    assert pauses[0] < 3
    assert max(pauses) <= LONGEST.total_seconds() + 1
    assert len(begun) > 20


async def test_a_round_that_went_well_for_long_is_news_again():
    clock, sink = VirtualClock(), Memory()

    async def breaks():
        await clock.sleep(timedelta(minutes=2))
        raise OSError

    task = asyncio.ensure_future(steady(breaks, clock=clock, sink=sink))
    await clock.advance(5 * MINUTE)
    task.cancel()
    await settle()
    assert [one.level for one in sink.events] == ["error", "error"]


@pytest.mark.fault("F26")
@pytest.mark.parametrize("live", [False, True], ids=["while it was down", "before it went down"])
async def test_a_clock_that_was_set_back_round_a_restart_puts_nothing_off(live):
    """What the ledger has was noted by the clock of then: the next start must not wait for it to come round again."""
    house = House(job("crm"), lifetime=60)
    house.ledger = FakeLedger()
    async with house.serving():
        await house.advance(20 * MINUTE)
        if live:
            house.clock.jump(-HOUR)
            house.provider.refuse = lambda _asked: answer(503)
            await house.advance(2 * MINUTE)
    if not live:
        house.clock.jump(-HOUR)
    heir = house.heir()
    heir.provider.refuse = lambda _asked: None
    heir.written.clear()
    async with heir.serving():
        await heir.clock.advance(6 * MINUTE)  # the longest backoff of before is 5 min
        assert heir.provider.issued[heir.token("crm")] > heir.clock.now()
        assert heir.state("crm") == "fresh"


@pytest.mark.fault("F26")
async def test_a_clock_that_is_set_back_while_a_start_looks_puts_nothing_off():
    house = House(job("crm"), lifetime=60)
    house.ledger = FakeLedger()
    async with house.serving():
        await house.advance(20 * MINUTE)
        house.provider.refuse = lambda _asked: answer(503)
        await house.advance(2 * MINUTE)
    heir = house.heir()
    heir.provider.refuse = lambda _asked: None
    heir.store.latency = 4 * SECOND
    async with heir.serving():
        heir.clock.jump(-HOUR)
        before = heir.provider.clients["crm"].serial
        await heir.clock.advance(6 * MINUTE)  # the longest backoff of before is 5 min
        assert heir.provider.clients["crm"].serial > before


@pytest.mark.fault("F26")
async def test_a_clock_that_is_set_back_between_request_and_answer_makes_no_token_live_longer():
    house = House(job("crm"), lifetime=60)
    house.provider.latency = 4 * SECOND
    async with house.serving():
        await house.advance(SECOND)
        assert house.asked("crm") == 1
        house.clock.jump(-HOUR)
        await house.advance(5 * MINUTE)
        assert house.asked("crm") >= 5, "not after an hour alone"
        assert house.provider.issued[house.token("crm")] > house.clock.now()
