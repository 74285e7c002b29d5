"""What every scheduler does for a roster, one machine's and a fleet's: one suite for the fake, the bell and the queue.

tests/contract/test_scheduler.py says more of those that ring at the word of their own machine alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from refresher.host.clock import SystemClock
from refresher.scheduler.apscheduler import Bell
from tests.fakes.scheduler import FakeScheduler
from tests.scheduler.nodes import POLL, install, node

SOON = timedelta(seconds=0.5)
NEVER = timedelta(hours=1)
PATIENCE = 60


@dataclass
class Case:
    """A scheduler whose jobs are due for the first time."""

    bell: Any

    async def due(self) -> tuple[str, ...]:
        return await asyncio.wait_for(self.bell.due(), PATIENCE)

    async def names(self, count: int) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            helping = await self.due()
            assert len(helping) <= 100
            names += helping
        return names

    async def nothing(self, span: timedelta) -> bool:
        try:
            await asyncio.wait_for(self.bell.due(), span.total_seconds())
        except TimeoutError:
            return True
        return False


@pytest.fixture(params=["fake", "apscheduler", pytest.param("postgres", marks=pytest.mark.e2e)])
def begin(request: pytest.FixtureRequest):
    """Return what opens a case with jobs of the names that it is given."""

    @asynccontextmanager
    async def opened(*names: str) -> AsyncIterator[Case]:
        if request.param == "postgres":
            base = request.getfixturevalue("base")
            await install(base)
            async with node(base, dict.fromkeys(names, "oauth2"), lease=timedelta(seconds=30)) as one:
                yield Case(one.claims)
            return
        bell = (Bell if request.param == "apscheduler" else FakeScheduler)(SystemClock())
        for name in names:
            bell.schedule(name, timedelta())
        try:
            yield Case(bell)
        finally:
            bell.close()

    return opened


async def test_who_is_called_is_called_once_and_it_is_ours(begin):
    async with begin("crm") as case:
        assert await case.due() == ("crm",)
        assert case.bell.ours("crm")
        assert await case.nothing(SOON)


async def test_it_is_called_again_after_its_delay_and_not_before(begin):
    async with begin("crm") as case:
        await case.due()
        for _ in range(2):
            began = time.monotonic()
            case.bell.schedule("crm", SOON)
            assert await case.due() == ("crm",)
            late = time.monotonic() - began
            assert late >= SOON.total_seconds() - 0.001


async def test_what_is_halted_is_left_alone(begin):
    async with begin("crm") as case:
        await case.due()
        case.bell.cancel("crm")
        assert await case.nothing(SOON + POLL)


async def test_what_comes_back_at_once_comes_at_once(begin):
    async with begin("crm") as case:
        await case.due()
        case.bell.schedule("crm", timedelta())
        assert await case.due() == ("crm",)


async def test_each_goes_its_own_way(begin):
    async with begin("crm", "bank", "shop") as case:
        assert sorted(await case.names(3)) == ["bank", "crm", "shop"]
        case.bell.schedule("bank", NEVER)
        case.bell.cancel("shop")
        case.bell.schedule("crm", SOON)
        assert await case.due() == ("crm",)
        assert await case.nothing(SOON)


async def test_a_hundred_at_most_come_at_once_and_none_is_lost(begin):
    names = [f"job-{number}" for number in range(130)]
    async with begin(*names) as case:
        assert sorted(await case.names(len(names))) == sorted(names)
        for name in names:
            case.bell.schedule(name, NEVER)
        assert await case.nothing(SOON)
