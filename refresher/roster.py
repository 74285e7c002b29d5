"""Every job in our care: who is due, who runs, who waits and why. Wake-ups are hints; each is decided afresh.

Rules of this module:
- A job is always exactly one of: queued, running, waiting until a time, or halted with a reason. The sweep sees to it.
- A walk that began is never cancelled: stopping means to start no more and to await those under way.
- One job's exception of any kind backs off that job alone.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from refresher.charge import Charge, Identity
from refresher.core import backoff, policy
from refresher.core.job import Job
from refresher.core.outcome import Outcome, tell_crashed
from refresher.core.queue import Entry, Queue
from refresher.core.settings import Limits
from refresher.outage import Outages
from refresher.ports import Clock, Scheduler, SecretStore, Sink
from refresher.rotation import Rotation

LOOKS_AT_ONCE: Final = 16
DRAIN: Final = timedelta(seconds=35)  # the request deadline and the write deadline, at their defaults
RETRY: Final = timedelta(seconds=2)
FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Roster:
    """The jobs of one daemon, or of one pass. Call `serve` or `once`, each at most once."""

    def __init__(  # noqa: PLR0913  # the ports of the design
        self,
        jobs: Mapping[str, Job],
        *,
        rotation: Rotation,
        stores: Mapping[str, SecretStore],
        scheduler: Scheduler | None,
        clock: Clock,
        sink: Sink,
        identity: Identity,
        limits: Limits,
    ) -> None:
        self.charges = {name: Charge(job=job) for name, job in jobs.items()}
        self._rotation = rotation
        self._scheduler = scheduler
        self._clock = clock
        self._sink = sink
        self._holder = identity.holder
        self._queue = Queue(limits)
        self._outages = Outages(stores=stores, clock=clock, sink=sink, wake=self.wake)
        self._forced: set[str] = set()
        self._turn = asyncio.Event()
        self._stopping = False
        self._group: asyncio.TaskGroup | None = None

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Keep every job fresh until `stop` is set; then finish what is under way. `ready` once all were looked at."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self.look_all()
            ready()
            loops = [group.create_task(loop) for loop in (self._listen(), self._pump())]
            await stop.wait()
            self._stopping = True
            self._outages.close()
            for task in loops:
                task.cancel()
            await self._finish()

    async def once(
        self, names: Collection[str], *, force: bool, progress: Callable[[Outcome], None] = lambda _: None
    ) -> list[Outcome]:
        """Walk what is due among `names`, all of them by `force`, and return how each ended."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self.look_all(names)
            for name in names:
                charge = self.charges[name]
                if charge.held is not None and (force or self._is_due(charge)):
                    self.offer(name, force=force)
                elif charge.last is not None:
                    progress(charge.last)
            queued = {name for name in names if name in self._queue}
            while queued:
                self._start_some()
                self._turn.clear()
                await self._turn.wait()
                for name in [one for one in queued if one not in self._queue]:
                    queued.discard(name)
                    if (last := self.charges[name].last) is not None:
                        progress(last)
            self._stopping = True
            self._outages.close()
            await self._finish()
        return [last for name in names if (last := self.charges[name].last) is not None]

    def offer(self, name: str, *, force: bool = False) -> None:
        """Queue `name` for a walk, or have it wait for Vault where that is away."""
        charge = self.charges[name]
        if force:
            self._forced.add(name)
        if self._stopping or self._outages.holds(charge.job):
            return
        self._queue.offer(Entry(charge.expires_at or FIRST, name, urlsplit(charge.job.token_url).netloc))
        self._turn.set()

    def wake(self, names: Collection[str]) -> None:
        """Decide again about `names`: Vault is back, or something changed."""
        for name in names:
            if (charge := self.charges.get(name)) is not None and name not in self._queue:
                if charge.trouble is not None and charge.trouble.kind == "outage":
                    charge.trouble = None
                self.settle(charge)

    def settle(self, charge: Charge) -> None:
        """Put a job that is not running where it belongs: queue, bell, or nowhere while it is halted."""
        name, now = charge.job.name, self._clock.now()
        if self._stopping or self._scheduler is None or name in self._queue:
            return
        retry_at = charge.trouble.retry_at if charge.trouble is not None else None
        if charge.held is None or charge.pending:
            verdict: policy.Verdict = policy.Rotate(reason="unwritten")
            if retry_at is not None and retry_at > now:
                verdict = policy.Wait(until=retry_at, reason="backoff")
        else:
            verdict = policy.decide(charge.facts(now, self._holder, force=name in self._forced))
        match verdict:
            case policy.Rotate():
                self.offer(name)
            case policy.Wait(until=datetime() as until):
                self._scheduler.schedule(name, until - now)
            case policy.Wait() | policy.Halt():
                self._scheduler.cancel(name)

    def update(self, jobs: Mapping[str, Job]) -> None:
        """Take over a new set of jobs; a walk that is under way ends as it began, and its job is then seen afresh."""
        for name in [one for one in self.charges if one not in jobs]:
            del self.charges[name]
            self._queue.withdraw(name)
            if self._scheduler is not None:
                self._scheduler.cancel(name)
        for name, job in jobs.items():
            old = self.charges.get(name)
            if old is None or old.job != job:
                self.charges[name] = Charge(job=job) if old is None else old.succeeded_by(job)
                self.settle(self.charges[name])

    async def look(self, name: str) -> None:
        """Read afresh what stands at a job's paths, unless it is queued or running."""
        charge = self.charges.get(name)
        if charge is None or name in self._queue or charge.pending or self._outages.holds(charge.job):
            return
        await self._guarded(charge, look_only=True)
        self.settle(charge)

    def is_away(self, charge: Charge) -> bool:
        """Whether the Vault of this job can't be reached now."""
        return self._outages.is_away(charge.job)

    def _is_due(self, charge: Charge) -> bool:
        return isinstance(policy.decide(charge.facts(self._clock.now(), self._holder)), policy.Rotate)

    async def look_all(self, names: Collection[str] | None = None) -> None:
        """Read what stands at the paths of `names`, or of all jobs."""
        waiting = iter(tuple(self.charges) if names is None else names)

        async def worker() -> None:
            for name in waiting:
                await self.look(name)

        async with asyncio.TaskGroup() as group:
            for _ in range(LOOKS_AT_ONCE):
                group.create_task(worker())

    async def _listen(self) -> None:
        if self._scheduler is None:
            return
        while True:
            for name in await self._scheduler.due():
                if (charge := self.charges.get(name)) is not None:
                    self.settle(charge)
            await asyncio.sleep(0)

    async def _pump(self) -> None:
        while True:
            self._start_some()
            self._turn.clear()
            await self._turn.wait()

    def _start_some(self) -> None:
        if self._group is None:
            return
        while (name := self._queue.take()) is not None:
            self._group.create_task(self._run(name, self.charges[name]))

    async def _run(self, name: str, charge: Charge) -> None:
        answered = True
        try:
            ended = await self._guarded(charge, force=name in self._forced)
            self._forced.discard(name)
            answered = ended is not None and ended.outcome != "rejected_transient"
        finally:
            self._queue.done(name, host_answered=answered)
            self._turn.set()
            if (now := self.charges.get(name)) is not None:
                if now is not charge:  # the job was changed meanwhile: what this walk wrote is not known to it
                    now.held, now.unwritten, now.unkept = None, charge.unwritten, charge.unkept
                self.settle(now)

    async def _guarded(self, charge: Charge, *, force: bool = False, look_only: bool = False) -> Outcome | None:
        """Walk `charge`; whatever it raises is the trouble of this job alone."""
        try:
            ended = await (self._rotation.look(charge) if look_only else self._rotation.rotate(charge, force=force))
        except asyncio.CancelledError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # one job's bug must not end the others
            charge.trouble = backoff.after_crash(
                error, job=charge.job, before=charge.trouble, now=self._clock.now(), holder=self._holder
            )
            self._sink.tell(tell_crashed(charge.job.name, error, charge.trouble))
            return None
        if ended.store_down and self._group is not None and not self._stopping:
            self._outages.begin(charge.job, ended.error or "", self._group)
        return ended

    async def _finish(self) -> None:
        """Await the walks under way, then write what was issued and is not written yet.

        A token that can be had again is tried for DRAIN; one that cannot, until it is written.
        """
        ends = self._clock.monotonic() + DRAIN.total_seconds()
        while True:
            while self._queue.running:
                self._turn.clear()
                await self._turn.wait()
            late = self._clock.monotonic() >= ends
            unwritten = [one for one in self.charges.values() if one.pending and (one.job.irreplaceable or not late)]
            if not unwritten:
                return
            for charge in unwritten:
                await self._guarded(charge)
            if any(charge.pending for charge in unwritten):
                await self._clock.sleep(RETRY)
