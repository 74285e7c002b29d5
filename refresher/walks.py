"""The walks under way: which of the due jobs run, and that each keeps its troubles to itself.

Rules of this module:
- A walk that began is never cancelled: stopping means to start no more and to await those under way.
- One job's exception of any kind backs off that job alone.
- Nobody walks a job that somebody looks at, nor the other way round.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from refresher.charge import Charge, Identity
from refresher.core import backoff
from refresher.core.outcome import Outcome, crashed, tell_broken, tell_crashed
from refresher.core.policy import Trouble, Verdict, Wait
from refresher.core.queue import Entry, Queue
from refresher.core.settings import Limits
from refresher.outage import Outages, ends_all
from refresher.ports import Clock, Scheduler, Sink
from refresher.rotation import Rotation

AT_ONCE: Final = 16  # looks, and writes at the end
DRAIN: Final = timedelta(seconds=35)  # the request deadline and the write deadline, at their defaults
RETRY: Final = timedelta(seconds=2)
FIRST: Final = datetime.min.replace(tzinfo=UTC)
_T = TypeVar("_T")


class Walks:
    """Runs walks in the task group `group`, which is set before the first of them."""

    group: asyncio.TaskGroup

    def __init__(  # noqa: PLR0913  # what a walk and its end need
        self,
        *,
        rotation: Rotation,
        outages: Outages,
        clock: Clock,
        sink: Sink,
        identity: Identity,
        limits: Limits,
        ended: Callable[[Charge], None],
    ) -> None:
        self.forced: set[str] = set()
        self.stopping = False
        self._rotation = rotation
        self._outages = outages
        self._clock = clock
        self._sink = sink
        self._holder = identity.holder
        self._queue = Queue(limits)
        self.queued: dict[str, Charge] = {}
        self._looking: set[str] = set()
        # a bug in it ends no other walk
        self._ended: Callable[[Charge], None] = lambda charge: self.attempt(charge, lambda: ended(charge))
        self._turn = asyncio.Event()
        self._called_at = self._moved_at = clock.monotonic()

    def __contains__(self, name: str) -> bool:
        """Whether somebody is busy with the job of that name, or about to be."""
        return name in self._queue or name in self._looking

    def offer(self, charge: Charge) -> None:
        """Queue `charge` for a walk, or have it wait for Vault where that is away."""
        name = charge.job.name
        if self.stopping or name in self or self._outages.holds(charge.job):
            return
        self.queued[name] = charge
        self._queue.offer(Entry(charge.expires_at or FIRST, name, charge.job.host))
        self._call()

    @property
    def waiting_since(self) -> float | None:
        """Since when (monotonic) the pump has not come although it was called; it takes no time where all is well."""
        return self._called_at if self._turn.is_set() and not self.stopping else None

    @property
    def hung_since(self) -> float | None:
        """Since when no walk began or ended while jobs are queued; a few walks' deadlines where all is well."""
        return self._moved_at if len(self._queue) and not self.stopping else None

    def withdraw(self, name: str) -> None:
        """Forget a queued job: it is no longer what it was."""
        self._queue.withdraw(name)
        if self.queued.pop(name, None) is not None:
            self._outages.walked(name, down=True)

    async def pump(self) -> None:
        """Start what may run, for ever."""
        while True:
            self._start_some()
            self._turn.clear()
            await self._turn.wait()

    async def all_done(self) -> None:
        """Start and await all that is queued."""
        while self._start_some() or self._queue.running:
            self._turn.clear()
            await self._turn.wait()

    def stop(self) -> None:
        """Start no more."""
        self.stopping = True
        self._call()

    async def look(self, charge: Charge) -> None:
        """Read afresh what stands at the paths of `charge`, unless somebody is busy with it."""
        name = charge.job.name
        if charge.pending or name in self or self._outages.holds(charge.job):
            return
        await self.alone(charge, self._rotation.look(charge))

    async def alone(self, charge: Charge, way: Awaitable[Outcome]) -> None:
        """Go one way with a job that nobody is busy with; meanwhile nobody is."""
        name = charge.job.name
        self._looking.add(name)
        charge.shut = self._outages.shut_to(charge.job)
        try:
            await self._guarded(charge, way)
        finally:
            self._looking.discard(name)
        self._ended(charge)

    def decided(self, charge: Charge, now: datetime, decide: Callable[[Charge, datetime], Verdict]) -> Verdict:
        """Return what is to be done about `charge`; a bug in that is this job's trouble too."""
        try:
            return decide(charge, now)
        except BaseException as error:  # noqa: BLE001  # nothing is awaited here: all of it is a bug
            return Wait(until=self.crash(charge, error).retry_at, reason="backoff")

    def crash(self, charge: Charge, error: BaseException) -> Trouble:
        """Note that `charge` met a bug of ours, and tell it: the job backs off. Return its trouble."""
        now, job = charge.now(self._clock), charge.job
        trouble = backoff.after_crash(error, job=job, before=charge.trouble, now=now, holder=self._holder)
        charge.trouble = trouble
        charge.last, charge.last_at = crashed(job, charge.expires_at, charge.versions), now
        self._sink.tell(tell_crashed(job.name, error, trouble))
        return trouble

    def attempt(self, charge: Charge, deed: Callable[[], None]) -> None:
        """Do `deed` for a job; a bug in it is the trouble of this job alone, and it is tried again soon."""
        try:
            deed()
        except BaseException as error:  # noqa: BLE001  # nothing is awaited here: all of it is a bug
            self.crash(charge, error)
            if not self.stopping:  # the end waits for no bug
                self.group.create_task(self._attempt_later(charge, deed))

    async def _attempt_later(self, charge: Charge, deed: Callable[[], None]) -> None:
        await self._clock.sleep(RETRY)
        self.attempt(charge, deed)

    async def called(self, bell: Scheduler, everybody: Collection[str]) -> Collection[str]:
        """Return whom the bell calls; all, where it breaks: nobody knows whom it has lost."""
        try:
            return await bell.due()
        except BaseException as error:
            if ends_all(error):
                raise
            self._sink.tell(tell_broken(error, 1))
            await self._clock.sleep(RETRY)
            return tuple(everybody)

    async def finish(self, charges: Collection[Charge]) -> None:
        """Start no more, await the walks under way, then write what of `charges` was issued and is not written yet.

        A token that can be had again is tried for DRAIN; one that cannot, until it is written.
        """
        self.stopping = True
        self._outages.close()
        ends = self._clock.monotonic() + DRAIN.total_seconds()
        while self._queue.running:
            self._turn.clear()
            await self._turn.wait()

        def is_wanted(charge: Charge) -> bool:
            return charge.pending and (charge.job.irreplaceable or self._clock.monotonic() < ends)

        async def save(charge: Charge) -> None:
            if is_wanted(charge):
                charge.shut = ()  # who ends waits for no probe, but tries
                await self._guarded(charge, self._rotation.save(charge))
                self._ended(charge)

        while unwritten := [charge for charge in charges if is_wanted(charge)]:
            await each(unwritten, save)
            if any(charge.pending for charge in unwritten):
                await self._clock.sleep(RETRY)

    def _call(self) -> None:
        """Have the pump, or whoever else starts walks, look what may run."""
        if not self._turn.is_set():
            self._called_at = self._clock.monotonic()
        self._turn.set()

    def _start_some(self) -> bool:
        """Start what may run; return whether anything was."""
        started = False
        while not self.stopping and (name := self._queue.take()) is not None:
            self.group.create_task(self._run(self.queued.pop(name)))
            self._moved_at, started = self._clock.monotonic(), True
        return started

    async def _run(self, charge: Charge) -> None:
        ended, name = None, charge.job.name
        try:
            ended = await self._guarded(charge, self._way(charge))
        finally:
            self.forced.discard(name)
            self._queue.done(name, host_answered=None if ended is None else ended.host_answered)
            self._moved_at = self._clock.monotonic()
            self._call()
            self._ended(charge)

    def _way(self, charge: Charge) -> Awaitable[Outcome]:
        charge.shut = self._outages.shut_to(charge.job)
        if charge.leaving:
            return self._rotation.save(charge)
        return self._rotation.rotate(charge, force=charge.job.name in self.forced)

    async def _guarded(self, charge: Charge, way: Awaitable[Outcome]) -> Outcome | None:
        """Go one way with `charge`; whatever it raises is the trouble of this job alone."""
        try:
            ended = await way
        except BaseException as error:  # one job's bug must not end the others
            if ends_all(error):
                raise
            self.crash(charge, error)
            self._outages.walked(charge.job.name, down=False)
            return None
        self._outages.walked(charge.job.name, down=ended.store_down, away=ended.away)
        if (ended.store_down or ended.away) and not self.stopping:
            self._outages.begin(charge.job, ended, self.group)
        return ended


async def each(ones: Iterable[_T], deed: Callable[[_T], Awaitable[None]]) -> None:
    """Await `deed` of each, some at once."""
    waiting = iter(ones)

    async def worker() -> None:
        for one in waiting:
            await deed(one)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
