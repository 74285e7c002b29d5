"""A whole daemon's worth of jobs on fakes: roster, walks, outages and watch, in virtual time."""

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from refresher import standing
from refresher.core import policy
from refresher.core.errors import StoreUnavailableError
from refresher.core.job import Job
from refresher.core.model import Location
from refresher.core.settings import Limits
from refresher.passes import Pass
from refresher.ports import Ledger
from refresher.roster import Roster
from refresher.rotation import Rotation
from refresher.watch import Watch
from tests.core.builders import STATES, a_job
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.journal import FakeJournal
from tests.fakes.programs import provider_side
from tests.fakes.provider import FakeProvider
from tests.fakes.scheduler import FakeScheduler
from tests.rotation.stage import IDENTITY, PASSWORD, SECRET, FakeReferences, Memory, SlowStore

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TEXTS = {str(SECRET): "client-secret", str(PASSWORD): "pass-word"}


def path_of(name: str) -> Location:
    return Location(mount="secret", path=f"tokens/{name}")


def state_of(name: str) -> Location:
    return job(name).state


def job(name: str, host: str = "a", **changes) -> Job:
    values = {
        "name": name,
        "token_url": f"https://{host}.example.com/token",
        "client_auth": "post",
        "client_id": name,
        "client_secret": SECRET,
        "destinations": (path_of(name),),
        "states": STATES,
    }
    return a_job(**values | changes)


def refreshing(name: str, host: str = "a", **changes) -> Job:
    """A job with a password, and a refresh token that is used between full grants."""
    words = {"grant": "password", "username": "u", "password": PASSWORD, "refreshes": True}
    return job(name, host, **words | changes)


def many(count: int, *hosts: str, **changes):
    return [job(f"job-{number:04}", hosts[number % len(hosts)] if hosts else "a", **changes) for number in range(count)]


class House:
    """Roster and watch over fakes. `expired_seconds` counts how long readers of any path held a dead token."""

    def __init__(
        self,
        *jobs: Job,
        limits: Limits | None = None,
        lifetime: int = 3600,
        drift: timedelta = 15 * MINUTE,
        clock: VirtualClock | None = None,
    ):
        self.clock = clock or VirtualClock()
        self.store = SlowStore(self.clock)
        self.provider = FakeProvider(self.clock, lifetime=lifetime)
        self.http = self.provider
        self.scheduler = FakeScheduler(self.clock)
        self.sink = Memory()
        self.journal = FakeJournal()
        self.ledger: Ledger | None = None
        self.references = FakeReferences(TEXTS)
        self.stores = {"": self.store}
        self.ledger = None
        self.limits = limits or Limits()
        self.drift = drift
        self.jobs = {one.name: one for one in jobs}
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()
        self.roster: Roster
        self.watch: Watch
        self.written: dict[str, datetime] = {}
        self.expired_seconds = 0.0
        self.store.after = self._note

    def _note(self, deed: str, place: Location) -> None:
        if deed == "write" and place.path.startswith("tokens/"):
            dead_for = (self.clock.now() - self.written.get(place.path, self.clock.now())).total_seconds()
            self.expired_seconds += max(dead_for, 0)
            self.written[place.path] = datetime.fromisoformat(self.store.stands(place)["expires_at"])

    def build(self, *, scheduler: bool = True) -> Roster:
        rotation = Rotation(
            **provider_side(http=self.http, references=self.references, clock=self.clock),
            stores=self.stores,
            references=self.references,
            clock=self.clock,
            sink=self.sink,
            identity=IDENTITY,
            journal=self.journal,
        )
        self.roster = (Roster if scheduler else Pass)(
            self.jobs,
            rotation=rotation,
            stores=self.stores,
            scheduler=self.scheduler if scheduler else None,
            clock=self.clock,
            sink=self.sink,
            identity=IDENTITY,
            limits=self.limits,
            ledger=self.ledger,
        )
        self.watch = Watch(self.roster, clock=self.clock, sink=self.sink, holder=IDENTITY.holder)
        return self.roster

    @asynccontextmanager
    async def serving(self, *, sweeps: bool = True):
        """Serve while the block lasts; then stop, and let time pass until all is finished."""
        self.build()
        async with asyncio.TaskGroup() as group:
            rounds = [self.watch.sweep(), self.watch.drift(self.drift), self.watch.catch_up()] if sweeps else []
            self.rounds = [group.create_task(one) for one in rounds]
            self.serve = group.create_task(self.roster.serve(self.stop, self.ready.set))
            await settle()
            yield self
            self.stop.set()
            await self.finished(timedelta(days=1))
            for task in self.rounds:
                task.cancel()

    def heir(self) -> "House":
        """Return another process over the same world, not begun yet."""
        heir = House(*self.jobs.values(), limits=self.limits, drift=self.drift)
        heir.clock, heir.store, heir.stores, heir.provider = self.clock, self.store, self.stores, self.provider
        heir.http, heir.references, heir.journal, heir.ledger = self.http, self.references, self.journal, self.ledger
        heir.scheduler, heir.written, heir.expired_seconds = (
            FakeScheduler(self.clock),
            self.written,
            self.expired_seconds,
        )
        heir.store.after = heir._note
        return heir

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """All that `serving` runs."""
        return (self.serve, *self.rounds)

    async def finished(self, within: timedelta) -> None:
        """Let time pass until `serve` has returned."""
        await settle()
        ends = self.clock.monotonic() + within.total_seconds()
        while not self.serve.done():
            assert self.clock.monotonic() < ends, f"still under way after {within}"
            await self.clock.advance(SECOND)

    async def once(self, *names: str, force: bool = False):
        """One pass, as `refresher once` makes it."""
        told = []
        roster = self.build(scheduler=False)
        async with asyncio.TaskGroup() as group:
            made = group.create_task(roster.once(names or tuple(self.jobs), force=force, progress=told.append))
            await settle()
            while not made.done():
                await self.clock.advance(SECOND)
        ended = made.result()
        assert sorted(one.job for one in told) == sorted(one.job for one in ended) == sorted(names or self.jobs)
        assert [one for one in ended if one not in told] == [], "what was told is how it ended"
        return {one.job: one for one in ended}

    async def advance(self, span: timedelta) -> None:
        await self.clock.advance(span)
        self.check()

    def update(self, *jobs: Job) -> None:
        self.jobs = {one.name: one for one in jobs}
        self.roster.update(self.jobs)

    def token(self, name: str) -> str | None:
        """What readers find."""
        return (self.store.stands(path_of(name)) or {}).get("access_token")

    def state(self, name: str) -> str:
        return standing.state_of(self.roster.charges[name], self.clock.now(), IDENTITY.holder)

    def asked(self, name: str) -> int:
        return len(self.provider.requests(name))

    def check(self) -> None:
        """No job has fallen out of every list: one at rest waits for a time, for Vault, or for a person."""
        if self.stop.is_set():
            return
        for name, charge in self.roster.charges.items():
            if charge.job.moved_from in self.roster.charges:
                continue  # it waits for its old name to be done
            if name in self.roster._walks or self.roster._outages.waits(name):
                continue
            now = charge.now(self.clock)
            verdict = self.roster._verdict(charge, now)
            match verdict:
                case policy.Wait(until=datetime() as until):
                    rings = self.scheduler.waiting.get(name)
                    assert rings is not None, f"{name} waits until {until}, and nobody will call it"
                    late = rings - self.clock.monotonic() - (until - now).total_seconds()
                    assert late <= 0.001, f"{name} will be called {late} s late"
                case policy.Rotate():
                    raise AssertionError(f"{name} is due ({verdict.reason}), and nobody walks it")
                case policy.Wait() | policy.Halt():
                    pass


def unwritable(house: House) -> None:
    """Have Vault read and prove, and fail every write that follows a job's request for a token."""

    def before(deed, place):
        if deed == "write" and house.asked(place.path.rpartition("/")[2]):
            raise StoreUnavailableError("sealed", "Vault is sealed", status=503)

    house.store.before = before
