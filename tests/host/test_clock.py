"""What ports.Clock promises, of the real one and of the tests' own."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from refresher.host.clock import SystemClock
from refresher.ports import Clock
from tests.fakes.clock import START, VirtualClock

SHORT = timedelta(milliseconds=20)


async def slept(clock: Clock, span: timedelta) -> float:
    """Sleep on `clock`, helping time on where it needs help; return what its monotonic clock says of it."""
    began = clock.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(span))
        if isinstance(clock, VirtualClock):
            await clock.advance(max(span, timedelta()))
    return clock.monotonic() - began


@pytest.fixture(params=[SystemClock, VirtualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    return request.param()


def test_the_wall_clock_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC


async def test_a_sleep_takes_its_span_and_no_wall_clock_turns_back(clock: Clock) -> None:
    before = clock.now()
    # a loop may wake a timer by its clock's resolution too early
    assert await slept(clock, SHORT) >= SHORT.total_seconds() - 0.001
    assert clock.now() > before


@pytest.mark.parametrize("span", [timedelta(), timedelta(seconds=-5)])
async def test_no_time_and_less_than_none_only_lets_others_run(clock: Clock, span: timedelta) -> None:
    ran = []
    asyncio.get_running_loop().call_soon(ran.append, "ran")
    assert await slept(clock, span) < 4
    assert ran == ["ran"]


async def test_a_sleep_can_be_cancelled(clock: Clock) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await clock.sleep(timedelta(hours=1))


def test_the_system_clock_is_the_machines() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=1)


async def test_sleepers_wake_in_order_each_at_its_own_moment() -> None:
    clock, woken = VirtualClock(), []

    async def sleeper(name: str, *seconds: int) -> None:
        for span in seconds:
            await clock.sleep(timedelta(seconds=span))
            woken.append((name, clock.monotonic(), clock.now() - START))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("a", 3, 3))
        tasks.create_task(sleeper("b", 1, 1, 4))
        await clock.advance(timedelta(seconds=5))
        assert [(name, at) for name, at, _ in woken] == [("b", 1), ("b", 2), ("a", 3)]
        assert clock.sleepers == 2
        await clock.advance(timedelta(seconds=1))
    assert [(name, at) for name, at, _ in woken[3:]] == [("b", 6), ("a", 6)]  # b lay down first
    assert all(passed == timedelta(seconds=at) for _, at, passed in woken)


async def test_a_jump_of_the_wall_clock_wakes_nobody() -> None:
    clock = VirtualClock()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clock.sleep(timedelta(seconds=5)))
        await clock.advance(timedelta(seconds=1))
        clock.jump(timedelta(hours=-1))
        assert (clock.monotonic(), clock.now()) == (1, START - timedelta(minutes=59, seconds=59))
        await clock.advance(timedelta(seconds=3))
        assert clock.sleepers == 1
        await clock.advance(timedelta(seconds=1))
        assert clock.sleepers == 0
