"""What every Scheduler holds to: one suite for the fake and for the real bell, which rings in real time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from apscheduler.schedulers import base

from refresher.host.clock import SystemClock
from refresher.scheduler import apscheduler
from refresher.scheduler.apscheduler import LATE_S, Bell
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.scheduler import FakeScheduler

SOON = timedelta(milliseconds=30)
NEVER = timedelta(hours=1)
PATIENCE = 10  # seconds; nothing here takes one


@dataclass
class Case:
    """A scheduler, and how to let its time pass."""

    bell: Any
    clock: Any

    async def due(self) -> tuple[str, ...]:
        """Wait for the next helping."""
        if not isinstance(self.clock, VirtualClock):
            return await asyncio.wait_for(self.bell.due(), PATIENCE)
        waiter = asyncio.ensure_future(self.bell.due())
        for _ in range(100):
            await self.clock.advance(SOON / 10)
            if waiter.done():
                return await waiter
        waiter.cancel()
        raise AssertionError("it never rang")

    async def nothing(self) -> bool:
        """Whether nothing rings for a while."""
        waiter = asyncio.ensure_future(self.bell.due())
        await self.clock.advance(SOON * 3) if isinstance(self.clock, VirtualClock) else await self.clock.sleep(SOON * 3)
        rung = waiter.done()
        waiter.cancel()
        await asyncio.wait([waiter])
        return not rung

    async def names(self, count: int) -> list[str]:
        """Take helpings until `count` names have come."""
        names: list[str] = []
        while len(names) < count:
            names += await self.due()
        return names


@asynccontextmanager
async def case_of(kind: str) -> AsyncIterator[Case]:
    clock = VirtualClock() if kind == "fake" else SystemClock()
    bell = FakeScheduler(clock) if kind == "fake" else Bell(clock)
    try:
        yield Case(bell, clock)
    finally:
        bell.close()


@pytest.fixture(params=["fake", "apscheduler"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with case_of(request.param) as made:
        yield made


async def test_what_is_due_comes_in_the_order_of_its_time(case: Case):
    for name, part in (("c", 3), ("a", 1), ("b", 2)):
        case.bell.schedule(name, SOON * part)
    assert await case.names(3) == ["a", "b", "c"]


async def test_it_rings_on_time_and_not_before(case: Case):
    began = case.clock.monotonic()
    case.bell.schedule("a", SOON)
    assert await case.due() == ("a",)
    assert case.clock.monotonic() - began >= SOON.total_seconds()


@pytest.mark.parametrize("delay", [timedelta(), -NEVER])
async def test_what_is_late_already_comes_at_once(case: Case, delay: timedelta):
    case.bell.schedule("a", delay)
    assert await case.due() == ("a",)


async def test_a_name_that_is_due_comes_once(case: Case):
    case.bell.schedule("a", timedelta())
    assert await case.due() == ("a",)
    assert await case.nothing()


async def test_a_later_word_replaces_an_earlier_one(case: Case):
    case.bell.schedule("a", timedelta())
    case.bell.schedule("a", NEVER)
    assert await case.nothing()
    case.bell.schedule("a", SOON)
    assert await case.due() == ("a",)


async def test_an_earlier_time_is_heard_while_somebody_waits(case: Case):
    case.bell.schedule("late", NEVER)
    waiter = asyncio.ensure_future(case.due())
    await asyncio.sleep(0)
    case.bell.schedule("early", SOON)
    assert await waiter == ("early",)


async def test_the_first_word_is_heard_while_somebody_waits(case: Case):
    waiter = asyncio.ensure_future(case.due())
    await asyncio.sleep(0)
    case.bell.schedule("a", SOON)
    assert await waiter == ("a",)


async def test_a_cancelled_name_does_not_come(case: Case):
    case.bell.schedule("a", timedelta())
    case.bell.schedule("b", SOON)
    case.bell.cancel("a")
    case.bell.cancel("nobody")
    assert await case.due() == ("b",)


async def test_a_cancelled_name_can_be_scheduled_again_to_the_same_time(case: Case):
    case.bell.schedule("a", timedelta())
    case.bell.cancel("a")
    case.bell.schedule("a", timedelta())
    assert await case.due() == ("a",)
    assert await case.nothing()


async def test_ten_thousand_at_once_come_in_helpings_and_none_is_lost(case: Case):
    names = [f"job-{number}" for number in range(10_000)]
    for name in names:
        case.bell.schedule(name, SOON)
    helpings = []
    while sum(map(len, helpings)) < len(names):
        helpings.append(await case.due())
    assert max(map(len, helpings)) <= 100
    assert sorted(name for helping in helpings for name in helping) == sorted(names)


async def test_a_name_that_is_put_off_ten_thousand_times_is_no_burden(case: Case):
    for number in range(10_000):
        case.bell.schedule("a", NEVER - SOON * number / 10_000)
    if isinstance(case.bell, Bell):
        assert len(case.bell._heap) < 200
    case.bell.schedule("a", timedelta())
    assert await case.due() == ("a",)


@pytest.mark.parametrize("turns", range(7))
async def test_who_ends_the_wait_is_heard_whatever_it_has_come_to(case: Case, turns: int):
    """The turn of the loop in which the wait is about to begin anew is one like the others."""

    async def wait_for_ever() -> None:
        while True:
            await case.bell.due()

    case.bell.schedule("late", NEVER)
    waiting = asyncio.ensure_future(wait_for_ever())
    await settle()
    case.bell.schedule("less late", NEVER / 2)
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
    assert done


async def test_a_time_far_beyond_every_calendar_harms_nothing(case: Case):
    case.bell.schedule("never", timedelta(days=365 * 7000))
    case.bell.schedule("a", timedelta())
    assert await case.due() == ("a",)


@pytest.fixture(params=["by APScheduler", "by the loop"])
def whoever_rings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is soon is the loop's to ring, and APScheduler's where nothing is near."""
    if request.param == "by APScheduler":
        monkeypatch.setattr(apscheduler, "NEAR_S", 0)


@pytest.mark.usefixtures("whoever_rings")
async def test_it_rings_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apscheduler, "LATE_S", 10 * PATIENCE)  # so that it is not that which wakes who waits
    async with case_of("apscheduler") as case:
        began = case.clock.monotonic()
        case.bell.schedule("a", 10 * SOON)
        assert await case.due() == ("a",)
        assert case.clock.monotonic() - began >= 10 * SOON.total_seconds()


@pytest.mark.usefixtures("whoever_rings")
async def test_a_ring_that_is_late_is_not_dropped():
    """APScheduler's default forgets a job that it comes to more than a second late."""
    async with case_of("apscheduler") as case:
        case.bell.schedule("a", SOON)
        waiter = asyncio.ensure_future(case.due())
        await settle()
        time.sleep(1.1)  # noqa: ASYNC251  # the loop is blocked: that is the test
        assert await waiter == ("a",)


class SetBack(datetime):
    """The wall clock that APScheduler reads."""

    by = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - cls.by


@pytest.mark.fault("F26", "F27")
@pytest.mark.usefixtures("whoever_rings")
@pytest.mark.parametrize("waits", [True, False], ids=["somebody waits", "nobody waits yet"])
async def test_a_bell_that_a_clock_left_behind_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, *, waits: bool):
    """APScheduler waits for the wall clock: set back by an hour, it would ring an hour late."""
    late_s = 4 * LATE_S  # a busy machine is within it, too
    monkeypatch.setattr(apscheduler, "LATE_S", late_s)
    monkeypatch.setattr(base, "datetime", SetBack)
    monkeypatch.setattr(SetBack, "by", timedelta())
    clock = SystemClock()
    monkeypatch.setattr(clock, "now", lambda: SetBack.now(UTC), raising=False)
    bell = Bell(clock)
    try:
        if waits:
            waiter = asyncio.ensure_future(bell.due())
            await settle()
        bell.schedule("late", NEVER)
        bell.schedule("a", SOON)
        if not waits:
            waiter = asyncio.ensure_future(bell.due())
        SetBack.by = NEVER
        assert await asyncio.wait_for(waiter, late_s + PATIENCE) == ("a",)
        bell.schedule("b", SOON)
        began = clock.monotonic()
        assert await asyncio.wait_for(bell.due(), PATIENCE) == ("b",)
        assert clock.monotonic() - began < late_s, "and the next one rings by itself"
    finally:
        bell.close()


@pytest.mark.leak("L20")
async def test_apscheduler_is_given_nothing_but_the_time():
    """It logs and a store would pickle what a job is called with: a name at most, and here not even that."""
    async with case_of("apscheduler") as case:
        for name in ("a", "b"):
            case.bell.schedule(name, NEVER)
        (job,) = case.bell._scheduler.get_jobs()
        assert (job.id, job.args, dict(job.kwargs)) == ("bell", (), {})
        assert [type(store).__name__ for store in case.bell._scheduler._jobstores.values()] == ["MemoryJobStore"]
