"""A clock that stands still until it is told to go on: ports.Clock for tests and simulations."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

RESTLESS = 20_000  # turns of the loop; ten thousand jobs take less to come to rest
START = datetime(2026, 11, 21, 10, tzinfo=UTC)


class VirtualClock:
    """Its wall clock can also be set apart from the monotonic one, as NTP or an administrator does."""

    def __init__(self, start: datetime = START) -> None:
        self._wall = start
        self._monotonic = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, span: timedelta) -> None:
        if span <= timedelta():
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._count += 1  # those who sleep until the same moment wake in the order in which they lay down
        heapq.heappush(self._sleepers, (self._monotonic + span.total_seconds(), self._count, woken))
        await woken

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def jump(self, span: timedelta) -> None:
        """Set the wall clock on (or back) by `span`; the monotonic clock and the sleepers notice nothing."""
        self._wall += span

    async def advance(self, span: timedelta) -> None:
        """Let `span` pass on both clocks: each sleeper wakes at its own moment, and runs before the next one does."""
        end = self._monotonic + span.total_seconds()
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            self._pass(at)
            if not woken.done():  # a cancelled one
                woken.set_result(None)
                await settle()
        self._pass(end)
        await settle()

    def _pass(self, until: float) -> None:
        self._wall += timedelta(seconds=until - self._monotonic)
        self._monotonic = until


async def settle() -> None:
    """Let every task run until all of them wait: for this clock, or for the world outside."""
    ready = asyncio.get_running_loop()._ready  # there is no public way to ask whether the loop is idle
    await asyncio.sleep(0)
    for _ in range(RESTLESS):
        if not ready:
            return
        await asyncio.sleep(0)
    raise AssertionError("something runs in circles, and time stands still")
