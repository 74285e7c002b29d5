"""The bell for one machine: APScheduler rings for the earliest due time of a heap (docs/adr/0001).

Rules of this module:
- APScheduler only says "now". The work is never done in its jobs: it drops late ones, and cancels running ones.
- Deadlines are held on the loop's monotonic clock: a jump of the wall clock moves none of them. APScheduler waits for
  the wall clock: where that was set back, nobody waits for its ring for longer than LATE_S.
- What comes within NEAR_S is left to the loop's own timer: at hundreds a second a job of APScheduler's for each ring
  is most of what a ring costs, and makes the next one late.
- What is due is handed out in small helpings, so that ten thousand at once never block the loop.
"""

import asyncio
from datetime import UTC, timedelta
from heapq import heapify, heappop, heappush
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from refresher.ports import Clock

HELPING: Final = 100
BELL: Final = "bell"
SAME_S: Final = 0.001  # deadlines this close together are one
NEAR_S: Final = 1.0
LATE_S: Final = 1.0  # seconds after which a ring is not awaited any more


class Bell:
    """ports.Scheduler over APScheduler 3. Use within a running loop; `close()` ends it."""

    shared = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deadlines: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._rung = asyncio.Event()
        self._armed: float | None = None
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.start()

    def ours(self, name: str, *, urgent: bool = False) -> bool:  # noqa: ARG002  # the port's
        """Whether a walk of `name` is ours to begin: nobody else is there."""
        return True

    def schedule(self, name: str, delay: timedelta) -> None:
        """Ring for `name` after `delay`; a later call replaces an earlier one."""
        deadline = self._clock.monotonic() + max(delay.total_seconds(), 0)
        if abs(self._deadlines.get(name, -1.0) - deadline) < SAME_S:
            return  # each sweep asks for what is there already
        self._deadlines[name] = deadline
        if not self._heap or deadline < self._heap[0][0]:
            self._rung.set()  # whoever waits, waits for that one from now on
        heappush(self._heap, (deadline, name))
        if len(self._heap) > 2 * len(self._deadlines) + HELPING:
            self._heap = [(at, who) for who, at in self._deadlines.items()]
            heapify(self._heap)
        self._arm()

    def cancel(self, name: str) -> None:
        """Forget `name`."""
        self._deadlines.pop(name, None)

    async def due(self) -> tuple[str, ...]:
        """Wait until something is due and return up to a helping of names, earliest first."""
        while True:
            if names := self._take():
                return names
            self._rung.clear()
            self._arm()
            timer = self._timer()
            try:
                await self._rung.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def close(self) -> None:
        """Stop APScheduler's timer."""
        self._scheduler.shutdown(wait=False)

    def _take(self) -> tuple[str, ...]:
        names: list[str] = []
        now = self._clock.monotonic()
        while self._heap and len(names) < HELPING:
            deadline, name = self._heap[0]
            if self._deadlines.get(name) != deadline:
                heappop(self._heap)  # cancelled, or moved to another time
                continue
            if deadline > now:
                break
            heappop(self._heap)
            del self._deadlines[name]
            names.append(name)
        return tuple(names)

    def _timer(self) -> asyncio.TimerHandle | None:
        """Have the loop end the wait for the earliest deadline: when that is near, or when nobody rang for it."""
        if not self._heap:
            return None
        away = self._heap[0][0] - self._clock.monotonic()
        return asyncio.get_running_loop().call_later(away if away < NEAR_S else away + LATE_S, self._rung.set)

    def _arm(self) -> None:
        """Have APScheduler ring at the earliest deadline, unless it does already; one that did not come is past."""
        if not self._heap:
            return
        earliest, now = self._heap[0][0], self._clock.monotonic()
        if earliest - now < NEAR_S or (self._armed is not None and now - LATE_S < self._armed <= earliest):
            return
        self._armed = earliest
        self._scheduler.add_job(
            self._ring,
            DateTrigger(self._clock.now() + timedelta(seconds=earliest - now)),
            id=BELL,
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
        )

    async def _ring(self) -> None:
        self._armed = None
        self._rung.set()
