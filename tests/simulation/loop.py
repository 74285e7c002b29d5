"""An event loop in which time jumps to the next timer, and the clock that a simulated daemon reads."""

import asyncio
import selectors
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 10, tzinfo=UTC)
TICK = 1e-6  # seconds; what two moments less than this apart are: the same


class _Jumps(selectors.BaseSelector):
    """Nothing ever comes from outside: to wait is to set the loop's time on."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout=None):
        assert timeout is not None, "nobody waits for a time: nothing would ever happen again"
        if timeout > 0:
            self._loop.now += timeout
        return []

    def register(self, fileobj, events, data=None):
        return selectors.SelectorKey(fileobj, -1, events, data)

    def unregister(self, fileobj):
        raise KeyError(fileobj)

    def get_map(self):
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is due, then jumps; `now` is its time in seconds. `suspended`: seconds that it slept through.

    True time, by which providers and Vault live, goes on while the machine is suspended; the loop's does not.
    """

    def __init__(self) -> None:
        self.now = self.suspended = 0.0
        super().__init__(_Jumps(self))
        self._clock_resolution = TICK

    def time(self) -> float:
        return self.now

    @property
    def true(self) -> float:
        """Seconds since the start, by the world's clock."""
        return self.now + self.suspended


class SkewedClock:
    """ports.Clock of the machine: its wall clock is the true one and `skew` seconds."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.skew = 0.0
        self._read = (-1.0, START)

    def now(self) -> datetime:
        seconds = self._loop.now + self._loop.suspended + self.skew
        if seconds != self._read[0]:  # a sweep reads it a thousand times in the same instant
            self._read = seconds, START + timedelta(seconds=seconds)
        return self._read[1]

    def monotonic(self) -> float:
        return self._loop.now

    async def sleep(self, span: timedelta) -> None:
        await asyncio.sleep(max(span.total_seconds(), 0))


class Timer:
    """What a Bell uses of APScheduler: one job at a time, at a time of the wall clock.

    Like APScheduler it reckons once how long that is, and looks again at the wall clock when that has passed.
    """

    def __init__(self, clock: SkewedClock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._ringing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """It runs by the loop alone."""

    def add_job(self, ring, trigger, **_how) -> None:
        self.shutdown()
        left = (trigger.run_date - self._clock.now()).total_seconds()
        self._handle = self._loop.call_later(max(left, 0) + 2 * TICK, self._look, ring, trigger)

    def _look(self, ring, trigger) -> None:
        if self._clock.now() < trigger.run_date:
            self.add_job(ring, trigger)
            return
        task = self._loop.create_task(ring())
        self._ringing.add(task)
        task.add_done_callback(self._ringing.discard)

    def shutdown(self, **_how: bool) -> None:
        """Forget the job."""
        if self._handle is not None:
            self._handle.cancel()
