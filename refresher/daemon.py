"""The one place that knows every concrete part: builds and wires them, owns the task group, signals and shutdown."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import refresher
from refresher import reload
from refresher.channels import USUAL, Channels
from refresher.charge import Identity
from refresher.control import wiring as control
from refresher.core import errors
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.model import Channel
from refresher.core.settings import Cluster, Settings
from refresher.discovery import Discovery
from refresher.endpoint import Endpoint
from refresher.heartbeat import Heartbeat
from refresher.host import paths, process, signals
from refresher.host.clock import SystemClock
from refresher.host.credentials import LocalReferences
from refresher.host.kept import Kept
from refresher.host.notify import Manager
from refresher.host.program import Programs
from refresher.logins import Logins
from refresher.passes import Pass
from refresher.ports import Http, Scheduler, Sink
from refresher.reload import Refusals
from refresher.roster import Roster
from refresher.rotation import Rotation
from refresher.scheduler.cron import CronCalendar
from refresher.sinks import Fanout
from refresher.sinks.log import LogSink
from refresher.skew import Skew
from refresher.state import journal, ledger
from refresher.steady import Round, steady
from refresher.timed import Timing
from refresher.vault import ReferenceReader, Vault, connect
from refresher.verify import Verifier
from refresher.watch import Watch
from refresher.web import wiring

EX_OK: Final = 0
EX_UNAVAILABLE: Final = 69  # sysexits.h: Vault refuses us for good
VAULT_DEADLINE: Final = timedelta(seconds=5)  # of one request; a whole write ends within 15 s
VAULT_KEEPALIVE: Final = timedelta(seconds=300)
PROVIDER_KEEPALIVE: Final = timedelta()  # a request for a token must not meet a connection that died meanwhile
FIRST_LOGIN: Final = timedelta(seconds=2)


class Parts:
    """What a daemon, or one pass, is made of. Make it with `build`."""

    def __init__(self, settings: Settings, sinks: tuple[Sink, ...], stack: AsyncExitStack, *, looks: bool) -> None:
        directory = paths.state_dir(settings.state_dir)
        known = paths.identity(directory, settings.instance)
        self.ledger = (ledger.Reader if looks else ledger.Ledger)(directory, settings.instance)
        stack.callback(self.ledger.close)
        self.settings = settings
        warnings = (known.warning, self.ledger.warning, process.files_short(settings.limits.total))
        self.warnings = tuple(filter(None, (*settings.warnings, *warnings)))
        self.identity = Identity(instance=settings.instance, holder=known.holder, key=known.key)
        self.clock, self.sink = SystemClock(), Fanout(*sinks)
        self.timing = Timing(sinks, self.clock)
        self.stores: dict[str, Vault] = {}
        self._stack = stack
        self._local, self._keeper = LocalReferences(), Kept(directory, settings.instance)
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
        """Connect the clusters of the settings; return those that got a new connection: new ones, or changed tables.

        Raises ConfigError, and then all are as they were.
        """
        connected: dict[str, Vault] = {}
        for name, cluster in clusters.items():
            if name not in self.stores or self.stores[name].cluster != cluster:
                try:
                    wire = self._wire(VAULT_DEADLINE, VAULT_KEEPALIVE, cluster.channel, vault=True)
                except errors.UnreadableReferenceError as error:
                    table = f"clusters.{name}" if name else "vault"
                    raise errors.ConfigError(
                        (errors.Mistake(str(self.settings.file), table, "", str(error)),)
                    ) from None
                connected[name] = connect(cluster, wire, self.clock, self._local, self._keeper, self.sink)
                self._stack.push_async_callback(connected[name].aclose)
        self.stores |= connected
        return tuple(connected)

    def _wire(self, deadline: timedelta, keepalive: timedelta, usual: Channel = USUAL, *, vault: bool = False) -> Http:
        wire = Channels(deadline=deadline, keepalive=keepalive, clock=self.clock, usual=usual)
        self._stack.push_async_callback(wire.aclose)
        return Skew(self.timing.wire(wire, vault=vault), clock=self.clock, sink=self.sink)

    def roster(self, scheduler: Scheduler | None = None) -> Pass:
        """Return a roster of the jobs of the settings; without a scheduler it is good for one pass."""
        return Pass(
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

    async def login(self) -> None:
        """Log in to each cluster that a job uses. Raises StoreError: what the first of them answered."""
        for name in self.settings.written_clusters:
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
    last: bool = False,
) -> int:
    """Run until SIGTERM or SIGINT (or `stop`), reload on SIGHUP, by force on SIGUSR2; return the exit code.

    `last`: the process ends with it, and hears no more signals from then on.
    """
    stop = stop or asyncio.Event()
    async with build(settings, sinks=(*(sinks or (LogSink(),)), *wiring.meters(settings))) as parts:
        daemon = Daemon(parts, stop)
        handlers = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set}
        handlers |= {signal.SIGHUP: daemon.reload.set, signal.SIGUSR2: daemon.reload_by_force}
        with signals.handled(handlers, last=last):
            return await daemon.run(started)


class Daemon:
    """A running daemon: the roster, its watch, Vault's logins, and the signals."""

    def __init__(self, parts: Parts, stop: asyncio.Event) -> None:
        from refresher.scheduler.apscheduler import Bell  # noqa: PLC0415  # a single pass needs no bell

        self._parts = parts
        self._stop = stop
        self.reload = asyncio.Event()  # set: read jobs.toml again
        self._forced = False
        self._refusals = Refusals()
        self._bell = parts.timing.bell(Bell(parts.clock))
        self._roster = parts.roster(self._bell)
        self._rounds: list[asyncio.Task[None]] = []
        self._steady = partial(steady, clock=parts.clock, sink=parts.sink)
        self._watch = Watch(self._roster, clock=parts.clock, sink=parts.sink, holder=parts.identity.holder)
        manager = Manager(parts.clock)
        self._heart = Heartbeat(self._roster, self._watch, manager=manager, clock=parts.clock, sink=parts.sink)

    async def run(self, started: Callable[[Roster, Parts], None]) -> int:
        """Serve until told to stop."""
        parts, roster = self._parts, self._roster
        for warning in parts.warnings:
            self._tell("started", level="warning", warning=warning)
        try:
            async with asyncio.timeout(FIRST_LOGIN.total_seconds()):
                await parts.login()
        except errors.StoreRefusedError as error:
            self._tell("stopped", level="error", error=error.code, why=str(error))
            self._heart.failed(f"Vault refuses the login: {error}")
            return EX_UNAVAILABLE
        except (errors.StoreUnavailableError, TimeoutError):
            pass  # the walks meet it again, say so once, and wait for Vault

        def ready() -> None:
            self._tell("started", version=refresher.__version__, jobs=len(roster.charges))
            self._heart.ready()
            started(roster, parts)

        async with asyncio.TaskGroup() as group:
            drift = partial(self._watch.drift, parts.settings.drift_check)
            logins = Logins(parts.stores, clock=parts.clock, sink=parts.sink).rounds()
            served = (*control.rounds(parts, roster), *wiring.rounds(parts, roster, self._watch, self._heart))
            rounds: tuple[Round, ...] = (self._watch.sweep, drift, *logins, partial(self._reloads, group), *served)
            self._rounds += [group.create_task(self._steady(one)) for one in rounds]
            self._rounds += [group.create_task(one) for one in (self._heart.beat(), self._heart.watch(self._stop))]
            await roster.serve(self._stop, ready)
            for task in self._rounds:
                task.cancel()
        self._bell.close()
        self._tell("stopped", jobs=len(roster.charges))
        return EX_OK

    def reload_by_force(self) -> None:
        """Read jobs.toml again, and take it over though much would be gone."""
        self._forced = True
        self.reload.set()

    async def _reloads(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self.reload.wait()
            self.reload.clear()
            force, self._forced = self._forced, False
            with self._heart.reloading():
                await self._take_over(group, force=force)

    async def _take_over(self, group: asyncio.TaskGroup, *, force: bool) -> None:
        """Read jobs.toml again; a mistake in it keeps the old jobs running, and says so."""
        parts, old = self._parts, self._parts.settings
        try:
            new = await asyncio.to_thread(reload.read, old, force=force)
            connected = parts.connect(new.clusters)
        except errors.ConfigError as error:
            parts.sink.tell(self._refusals.refused(error, old))
            return
        parts.settings = reload.taken_over(old, new)
        self._rounds += [group.create_task(self._steady(parts.stores[name].keep)) for name in connected]
        self._roster.update(new.jobs, moved=connected)
        parts.sink.tell(reload.reloaded(old, new, refused=self._refusals.over()))

    def _tell(self, name: EventName, level: Level = "info", **fields: Field) -> None:
        self._parts.sink.tell(Event(name=name, level=level, fields=fields))
