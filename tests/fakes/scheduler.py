"""ports.Scheduler on any clock. tests/contract/test_scheduler.py runs one suite on it and on the real bell."""

import asyncio
from datetime import timedelta
from heapq import heappop, heappush

HELPING = 100
TICK = 1e-6  # seconds; a clock of microseconds can't wait for less


class FakeScheduler:
    """Rings when its clock says so; a `deaf` one never does. `waiting` is when each name is to be rung for."""

    shared = False

    def __init__(self, clock) -> None:
        self.clock = clock
        self.deaf = False
        self.waiting: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    def schedule(self, name: str, delay: timedelta) -> None:
        deadline = self.clock.monotonic() + max(delay.total_seconds(), 0)
        if not self._heap or deadline < self._heap[0][0]:
            self._changed.set()
        self.waiting[name] = deadline
        heappush(self._heap, (deadline, name))

    def ours(self, name: str, *, urgent: bool = False) -> bool:  # noqa: ARG002  # the port's
        return True

    def cancel(self, name: str) -> None:
        self.waiting.pop(name, None)

    async def due(self) -> tuple[str, ...]:
        while not (names := self._take()):
            self._changed.clear()
            await self._wait()
        return names

    def close(self) -> None:
        """Nothing of it runs by itself."""

    async def _wait(self) -> None:
        """Wait for the earliest deadline, or until an earlier one is made."""
        if self.deaf or not self._heap:
            await self._changed.wait()
            return
        pause = timedelta(seconds=self._heap[0][0] - self.clock.monotonic())
        waiters = [asyncio.ensure_future(one) for one in (self.clock.sleep(pause), self._changed.wait())]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiters:
                one.cancel()  # not awaited: who cancels us meanwhile would not be heard

    def _take(self) -> tuple[str, ...]:
        names: list[str] = []
        while not self.deaf and self._heap and len(names) < HELPING:
            deadline, name = self._heap[0]
            if deadline > self.clock.monotonic() + TICK and self.waiting.get(name) == deadline:
                break
            heappop(self._heap)
            if self.waiting.get(name) == deadline:
                del self.waiting[name]
                names.append(name)
        return tuple(names)
