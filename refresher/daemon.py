"""The one place that knows every concrete part: builds and wires them, owns the task group, signals and shutdown."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

import refresher
from refresher import config
from refresher.channels import USUAL, Channels
from refresher.charge import Identity
from refresher.core.errors import (
    ConfigError,
    Mistake,
    StoreRefusedError,
    StoreUnavailableError,
    UnreadableReferenceError,
)
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.model import Channel
from refresher.core.settings import Cluster, Settings
from refresher.discovery import Discovery
from refresher.endpoint import Endpoint
from refresher.host import paths
from refresher.host.clock import SystemClock
from refresher.host.credentials import LocalReferences
from refresher.host.program import Programs
from refresher.ports import Scheduler, Sink
from refresher.roster import Roster
from refresher.rotation import Rotation
from refresher.scheduler.cron import CronCalendar
from refresher.sinks import Fanout
from refresher.sinks.log import LogSink
from refresher.state import journal, ledger
from refresher.vault import ReferenceReader, Vault, connect
from refresher.verify import Verifier
from refresher.watch import Watch

EX_OK: Final = 0
EX_UNAVAILABLE: Final = 69  # sysexits.h: Vault refuses us for good
VAULT_DEADLINE: Final = timedelta(seconds=5)  # of one request; a whole write ends within 15 s
VAULT_KEEPALIVE: Final = timedelta(seconds=300)
PROVIDER_KEEPALIVE: Final = timedelta()  # a request for a token must not meet a connection that died meanwhile
FIRST_LOGIN: Final = timedelta(seconds=2)
FIXED: Final = ("state_dir", "limits", "log", "drift_check", "request_deadline")  # taken over at the next start alone


class Parts:
    """What a daemon, or one pass, is made of. Make it with `build`."""

    def __init__(self, settings: Settings, sinks: tuple[Sink, ...], stack: AsyncExitStack, *, looks: bool) -> None:
        directory = paths.state_dir(settings.state_dir)
        known = paths.identity(directory, settings.instance)
        self.ledger = (ledger.Reader if looks else ledger.Ledger)(directory, settings.instance)
        stack.callback(self.ledger.close)
        self.settings = settings
        self.warnings = tuple(filter(None, (*settings.warnings, known.warning, self.ledger.warning)))
        self.identity = Identity(instance=settings.instance, holder=known.holder, key=known.key)
        self.clock = SystemClock()
        self.sink: Sink = Fanout(*sinks)
        self.stores: dict[str, Vault] = {}
        self._stack = stack
        self._local = LocalReferences()
        self.http = self._wire(settings.request_deadline, PROVIDER_KEEPALIVE)
        self.references = ReferenceReader(self._local, self.stores)
        self.discovery = Discovery(http=self.http, clock=self.clock)
        self.programs = Programs(self.sink)
        endpoint = Endpoint(http=self.http, programs=self.programs, discovery=self.discovery, clock=self.clock)
        verifier = Verifier(http=self.http, discovery=self.discovery, references=self.references, clock=self.clock)
        self.rotation = Rotation(
            endpoint=endpoint,
            verifier=verifier,
            stores=self.stores,
            references=self.references,
            clock=self.clock,
            sink=self.sink,
            identity=self.identity,
            calendar=CronCalendar(),
            journal=None if looks else journal.Journal(directory, settings.instance),
        )
        self.connect(settings.clusters)

    def connect(self, clusters: Mapping[str, Cluster]) -> tuple[str, ...]:
        """Connect the clusters of the settings; return those that got a new connection: new ones, or changed tables."""
        connected = []
        for name, cluster in clusters.items():
            if name not in self.stores or self.stores[name].cluster != cluster:
                try:
                    wire = self._wire(VAULT_DEADLINE, VAULT_KEEPALIVE, Channel(ca_file=cluster.ca_file))
                except UnreadableReferenceError as error:
                    table = f"clusters.{name}" if name else "vault"
                    raise ConfigError((Mistake(str(self.settings.file), table, "", str(error)),)) from None
                self.stores[name] = connect(cluster, wire, self.clock, self._local)
                self._stack.push_async_callback(self.stores[name].aclose)
                connected.append(name)
        return tuple(connected)

    def _wire(self, deadline: timedelta, keepalive: timedelta, usual: Channel = USUAL) -> Channels:
        wire = Channels(deadline=deadline, keepalive=keepalive, clock=self.clock, usual=usual)
        self._stack.push_async_callback(wire.aclose)
        return wire

    def roster(self, scheduler: Scheduler | None = None) -> Roster:
        """Return a roster of the jobs of the settings; without a scheduler it is good for one pass."""
        return Roster(
            self.settings.jobs,
            rotation=self.rotation,
            stores=self.stores,
            scheduler=scheduler,
            clock=self.clock,
            sink=self.sink,
            identity=self.identity,
            limits=self.settings.limits,
            ledger=self.ledger,
        )

    def used_clusters(self) -> set[str]:
        """Return the names of the clusters that a job writes to."""
        return {place.cluster for job in self.settings.jobs.values() for place in job.destinations}

    async def login(self) -> None:
        """Log in to each cluster that a job uses. Raises StoreError: what the first of them answered."""
        for name in sorted(self.used_clusters()):
            await self.stores[name].login()


@asynccontextmanager
async def build(settings: Settings, *, sinks: tuple[Sink, ...] = (), looks: bool = False) -> AsyncIterator[Parts]:
    """Build and wire the parts; on the way out close connections and revoke the Vault tokens that we logged in for.

    `looks`: for a verb that only looks, and keeps nothing in the ledger.
    """
    async with AsyncExitStack() as stack:
        yield Parts(settings, sinks or (LogSink(),), stack, looks=looks)


async def run(
    settings: Settings,
    *,
    sinks: tuple[Sink, ...] = (),
    stop: asyncio.Event | None = None,
    started: Callable[[Roster, Parts], None] = lambda _roster, _parts: None,
) -> int:
    """Run until SIGTERM or SIGINT (or `stop`), reload on SIGHUP; return the exit code."""
    stop = stop or asyncio.Event()
    async with build(settings, sinks=sinks or (LogSink(),)) as parts:
        daemon = Daemon(parts, stop)
        with daemon.signals():
            return await daemon.run(started)


class Daemon:
    """A running daemon: the roster, its watch, Vault's logins, and the signals."""

    def __init__(self, parts: Parts, stop: asyncio.Event) -> None:
        from refresher.scheduler.apscheduler import Bell  # noqa: PLC0415  # a single pass needs no bell

        self._parts = parts
        self._stop = stop
        self._reload = asyncio.Event()
        self._bell = Bell(parts.clock)
        self._roster = parts.roster(self._bell)
        self._rounds: list[asyncio.Task[None]] = []

    async def run(self, started: Callable[[Roster, Parts], None]) -> int:
        """Serve until told to stop."""
        parts, roster = self._parts, self._roster
        for warning in parts.warnings:
            self._tell("started", level="warning", warning=warning)
        try:
            async with asyncio.timeout(FIRST_LOGIN.total_seconds()):
                await parts.login()
        except StoreRefusedError as error:
            self._tell("stopped", level="error", error=error.code, why=str(error))
            return EX_UNAVAILABLE
        except (StoreUnavailableError, TimeoutError):
            pass  # the walks meet it again, say so once, and wait for Vault

        def ready() -> None:
            self._tell("started", version=refresher.__version__, jobs=len(roster.charges))
            started(roster, parts)

        watch = Watch(roster, clock=parts.clock, sink=parts.sink, holder=parts.identity.holder)
        async with asyncio.TaskGroup() as group:
            rounds = [watch.sweep(), watch.drift(parts.settings.drift_check), self._reloads(group)]
            rounds += [store.keep() for store in parts.stores.values()]
            self._rounds += [group.create_task(one) for one in rounds]
            await roster.serve(self._stop, ready)
            for task in self._rounds:
                task.cancel()
        self._bell.close()
        self._tell("stopped", jobs=len(roster.charges))
        return EX_OK

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as stop, SIGHUP as reload, for as long as the context lasts."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self._stop.set, signal.SIGINT: self._stop.set, signal.SIGHUP: self._reload.set}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    async def _reloads(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self._take_over(group)

    async def _take_over(self, group: asyncio.TaskGroup) -> None:
        """Read jobs.toml again; a mistake in it keeps the old jobs running, and says so."""
        parts, old = self._parts, self._parts.settings
        try:
            new = await asyncio.to_thread(_reread, old)
            connected = parts.connect(new.clusters)
        except ConfigError as error:
            mistakes = tuple(str(mistake) for mistake in error.mistakes)
            self._tell("reload_refused", level="error", mistakes=mistakes, jobs=len(old.jobs))
            return
        fixed = [name for name in FIXED if getattr(old, name) != getattr(new, name)]
        parts.settings = replace(new, **{name: getattr(old, name) for name in FIXED})
        self._rounds += [group.create_task(parts.stores[name].keep()) for name in connected]
        self._roster.update(new.jobs, moved=connected)
        same = sum(1 for name, job in new.jobs.items() if old.jobs.get(name) == job)
        self._tell(
            "reloaded",
            jobs=len(new.jobs),
            added=len(new.jobs.keys() - old.jobs.keys()),
            removed=len(old.jobs.keys() - new.jobs.keys()),
            changed=len(new.jobs.keys() & old.jobs.keys()) - same,
            needs_restart=tuple(fixed),
        )

    def _tell(self, name: EventName, level: Level = "info", **fields: Field) -> None:
        self._parts.sink.tell(Event(name=name, level=level, fields=fields))


def _reread(old: Settings) -> Settings:
    """Read the file of `old` again. Raises ConfigError; another instance would keep other paths and state records."""
    new = config.load(old.file)
    if new.instance != old.instance:
        raise ConfigError((Mistake(str(old.file), "instance", "name", "it changes at a restart alone"),))
    return new
