"""Every job in our care: who is due, who runs, who waits and why. Wake-ups are hints; each is decided afresh.

Rules of this module:
- The sweep sees to it: a job is queued, running (or looked at), waiting for a time or for Vault, or halted by a reason.
- A job that is removed while something of its is unwritten stays, as leaving, until that is written.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from refresher import memory
from refresher.behind import vault_is_back
from refresher.charge import Charge, Identity
from refresher.core import policy
from refresher.core.job import Job
from refresher.core.orders import Orders
from refresher.core.outcome import Outcome
from refresher.core.remembered import Remembered
from refresher.core.settings import Limits
from refresher.decided import may_walk
from refresher.memory import Memory
from refresher.outage import Outages
from refresher.ports import Clock, Ledger, Scheduler, SecretStore, Sink
from refresher.rotation import Rotation
from refresher.walks import Walks, each


class Roster:
    """The jobs of one daemon. Call `serve` at most once. `heard` is told of each job whose walk or look has ended."""

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
        ledger: Ledger | None = None,
    ) -> None:
        self._memory = Memory(ledger, sink, clock, shared=scheduler is not None and scheduler.shared)
        self._heirs = {job.moved_from: name for name, job in jobs.items()}
        self.charges = {name: self._memory.charge(job) for name, job in jobs.items()}
        self._rotation = rotation
        self._scheduler = scheduler
        self._clock = clock
        self._seed = identity.seed
        self._decided = rotation.decided
        self._outages = outages = Outages(stores=stores, clock=clock, sink=sink, wake=self.wake)
        self._walks = Walks(
            rotation=rotation,
            outages=outages,
            clock=clock,
            sink=sink,
            identity=identity,
            limits=limits,
            ended=self._walked,
        )
        self.heard: Callable[[str], None] = lambda _: None

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Keep every job fresh until `stop` is set; then finish what is under way. `ready` once all were looked at."""
        async with asyncio.TaskGroup() as self._walks.group:
            group = self._walks.group
            loops = [group.create_task(loop) for loop in (self._begin(ready), self._listen(), self._walks.pump())]
            await stop.wait()
            for task in loops:
                task.cancel()
            await self._walks.finish(self.charges.values())

    def offer(self, name: str, *, force: bool = False) -> None:
        """Queue `name` for a walk, or have it wait for Vault where that is away."""
        if (charge := self.charges.get(name)) is None or charge.job.moved_from in self.charges:
            return  # there is none, or its old name is not done yet
        if may_walk(self._scheduler, charge, force=force):
            if force:
                self._walks.forced.add(name)
            self._walks.offer(charge)

    def begin(self, name: str, *, force: bool) -> None:
        """Queue `name` for a walk; where its Vault is away, that has ended at once."""
        charge = self.charges[name]
        if (error := self._outages.error(charge.job)) is None:
            self.offer(name, force=force)
        else:
            self._rotation.away(charge, error)

    def is_busy(self, name: str) -> bool:
        """Whether somebody is busy with the job of that name, or about to be."""
        return name in self._walks

    def is_walked(self, name: str) -> bool:
        """Whether the job of that name is walked or looked at, and not only queued."""
        return name in self._walks and name not in self._walks.queued

    def order(self, name: str, orders: Orders) -> None:
        """Have `orders` count for a job, after a restart too; a walk that is under way comes to its end."""
        charge = self.charges[name]
        charge.orders = orders
        self._memory.keep(charge)
        self.settle(name)

    def hear(self, name: str, kept: Remembered, node: str, *, own: bool) -> bool:
        """Know how a node of the fleet left a job; False: not now, somebody is busy with it here."""
        charge = self.charges.get(name)
        if charge is not None and (name in self._walks or charge.pending):
            charge.orders = kept.orders
            return False
        if charge is not None:
            charge.orders, charge.node = kept.orders, node
            if not own:
                memory.hear(charge, kept, self._seed)
            self.settle(name)
        return True

    def renew(self, name: str) -> None:
        """Forget what may be long past of a job that comes into our hands, and know what the fleet keeps of it."""
        if self._scheduler is not None and name not in self._walks:
            self._memory.renew(self.charges.get(name), self._scheduler)

    async def alone(self, name: str, deed: Callable[[Charge], Awaitable[Outcome]]) -> None:
        """Do something with a job that nobody is busy with; meanwhile nobody is."""
        await self._walks.alone(self.charges[name], deed(self.charges[name]))

    def wake(self, names: Collection[str]) -> bool:
        """Decide again about `names`: Vault is back. Return whether somebody is busy with one of them then."""
        for name in names:
            if (charge := self.charges.get(name)) is not None:
                vault_is_back(charge, charge.now(self._clock))
            self.settle(name)
        return any(name in self._walks for name in names)

    def settle(self, name: str) -> None:
        """Put a job that nobody is busy with where it belongs: queue, bell, or nowhere while it is halted."""
        if (charge := self.charges.get(name)) is not None:
            self._walks.attempt(charge, lambda: self._settle(name))

    def _settle(self, name: str) -> None:
        charge = self.charges.get(name)
        if charge is None or self._scheduler is None or self._walks.stopping or name in self._walks:
            return
        if charge.job.moved_from in self.charges:  # its old name is not done yet
            return
        if charge.leaving and not charge.pending and not charge.unmoved:
            del self.charges[name]
            self._scheduler.cancel(name)
            self._memory.keep(charge)  # should it come back
            self._hand_on(charge)
            self.heard(name)
            return
        match self._walks.decided(charge, now := charge.now(self._clock), self._verdict):
            case policy.Rotate():
                self.offer(name)
            case policy.Wait(until=datetime() as until):
                self._scheduler.schedule(name, until - now)
            case policy.Wait() | policy.Halt():
                self._scheduler.cancel(name)

    def rests(self, charge: Charge) -> bool:
        """Whether `charge` only waits for its due time, which is far off. Its bell is set, should it have been lost."""
        busy = charge.job.name in self._walks or charge.leaving or charge.pending or charge.latch is not None
        if busy or self._scheduler is None or self._walks.stopping or charge.job.moved_from in self.charges:
            return False
        until = self._decided.rests_until(charge, now := charge.now(self._clock))
        if until is not None:
            self._scheduler.schedule(charge.job.name, until - now)
        return until is not None

    def update(self, jobs: Mapping[str, Job], *, moved: Collection[str] = ()) -> None:
        """Take over a new set of jobs; a walk that is under way ends as it began, and its job is then seen afresh.

        `moved`: clusters that are others than before under the same name: whatever was known of them is forgotten.
        """
        leaving = self.charges.keys() - jobs.keys()
        self._heirs |= {job.moved_from: name for name, job in jobs.items()}
        for name in leaving:
            self._walks.withdraw(name)
            self.charges[name].leaving = True
        for name, job in jobs.items():
            old = self.charges.get(name)
            if old is None:
                self.charges[name] = self._memory.charge(job)
            elif old.job != job or any(place.cluster in moved for place in (*job.destinations, job.states)):
                self._walks.withdraw(name)
                self.charges[name] = old.succeeded_by(job, moved=moved)
            else:
                old.leaving = False
        for name in (*leaving, *jobs):
            self.settle(name)

    async def look(self, name: str) -> None:
        """Read afresh what stands at a job's paths, unless somebody is busy with it."""
        if (charge := self.charges.get(name)) is not None and charge.job.moved_from not in self.charges:
            await self._walks.look(charge)

    async def look_all(self, names: Collection[str] | None = None) -> None:
        """Read what stands at the paths of `names`, or of all jobs."""
        await each(tuple(self.charges) if names is None else names, self.look)

    @property
    def stuck_since(self) -> tuple[float | None, float | None]:
        """Since when (monotonic) due jobs are not taken, and none of those queued was walked; None: all is well."""
        return self._walks.waiting_since, self._walks.hung_since

    def unwritten(self) -> list[str]:
        """Return the irreplaceable jobs with an answer that is not in Vault yet, or under way."""
        ours = [charge for charge in self.charges.values() if charge.job.irreplaceable]
        return [charge.job.name for charge in ours if charge.pending or charge.job.name in self._walks]

    def is_away(self, charge: Charge) -> bool:
        """Whether the Vault of this job can't be reached now."""
        return self._outages.error(charge.job) is not None

    def _verdict(self, charge: Charge, now: datetime) -> policy.Verdict:
        return self._decided.verdict(charge, now, force=charge.job.name in self._walks.forced)

    def _walked(self, charge: Charge) -> None:
        """Settle a job whose walk or look has ended. What it came to goes on under a configuration that is newer."""
        name, now = charge.job.name, self.charges[charge.job.name]
        if now is not charge:
            charge.orders = now.orders
            ours = {*charge.known_ours, *charge.job.observed}
            known_ours = tuple(place for place in now.known_ours if place in ours)
            self.charges[name] = replace(charge.succeeded_by(now.job), leaving=now.leaving, known_ours=known_ours)
        self._memory.note(charge)
        self.settle(name)
        self.heard(name)

    def _hand_on(self, charge: Charge) -> None:
        """Have a job that left go on under its new name, where it has one."""
        heir = self.charges.get(self._heirs.get(charge.job.name, ""))
        if heir is not None and heir.job.moved_from == charge.job.name:
            self.charges[heir.job.name] = self._memory.handed_on(charge, heir)
            self.settle(heir.job.name)

    async def _begin(self, ready: Callable[[], None]) -> None:
        await self.look_all()
        ready()

    async def _listen(self) -> None:
        while self._scheduler is not None:
            for name in await self._walks.called(self._scheduler, self.charges):
                self.renew(name)
                self.settle(name)
            await asyncio.sleep(0)
