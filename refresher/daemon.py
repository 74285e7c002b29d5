"""A running daemon: owns the task group, signals and shutdown. What it is made of stands in parts.py."""

import asyncio
import signal
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import refresher
from refresher import reload, turns
from refresher.control import wiring as control
from refresher.core import errors
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.settings import Settings
from refresher.heartbeat import Heartbeat
from refresher.host import signals
from refresher.host.notify import Manager
from refresher.parts import Parts, build
from refresher.ports import Sink
from refresher.pulse import Pulse
from refresher.reload import Refusals
from refresher.roster import Roster
from refresher.sinks.log import LogSink
from refresher.steady import Round, steady
from refresher.watch import Watch
from refresher.web import wiring

__all__ = ["EX_OK", "EX_UNAVAILABLE", "Daemon", "Parts", "build", "run"]

EX_OK: Final = 0
EX_UNAVAILABLE: Final = 69  # sysexits.h: Vault refuses us for good
FIRST_LOGIN: Final = timedelta(seconds=2)
BREATH: Final = timedelta(seconds=10)  # the longest pause between two reloads
LOOK: Final = timedelta(seconds=0.1)
LAST_CALL: Final = timedelta(seconds=1)  # for hooks, at the end: an idle daemon ends within two


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
    stop, sinks = stop or asyncio.Event(), (*(sinks or (LogSink(),)), *wiring.meters(settings))
    key = b""
    if settings.postgres is not None:
        async with build(settings, sinks=sinks, looks=True) as parts:
            if why := await turns.unfit(settings.postgres, parts.local.read):
                parts.sink.tell(Event(name="stopped", level="error", fields={"error": "schema", "why": why}))
                return EX_UNAVAILABLE
            if not (key := await turns.key(parts, parts.local.read)):
                return EX_UNAVAILABLE
    async with build(settings, sinks=sinks, key=key, patience=LAST_CALL) as parts:
        daemon = Daemon(parts, stop)
        handlers = {signal.SIGTERM: stop.set, signal.SIGINT: stop.set}
        handlers |= {signal.SIGHUP: daemon.reload.set, signal.SIGUSR2: daemon.reload_by_force}
        with signals.handled(handlers, last=last):
            return await daemon.run(started)


class Daemon:
    """A running daemon: the roster, its watch, Vault's logins, and the signals."""

    def __init__(self, parts: Parts, stop: asyncio.Event) -> None:
        self._parts = parts
        self._stop = stop
        self.reload = asyncio.Event()  # set: read jobs.toml again
        self._forced = False
        self._refusals = Refusals()
        self._turns = turns.of(parts, parts.local.read, lambda: self._roster)
        self._roster = parts.roster(self._turns.bell)
        self._rounds: list[asyncio.Task[None]] = []
        self._logins: dict[str, tuple[object, asyncio.Task[None]]] = {}  # the store, and what keeps its login up
        self._steady = partial(steady, clock=parts.clock, sink=parts.sink)
        self._watch = Watch(self._roster, clock=parts.clock, sink=parts.sink, holder=parts.identity.seed)
        self._watch.doubts = self._turns.bell.shared
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
            expiries = parts.expiries(roster)
            served = (
                *control.rounds(parts, roster, expiries.logins, self._turns.hands),
                *wiring.rounds(parts, roster, self._watch, self._heart, expiries.logins, fleet=self._turns.hands),
            )
            pulse = Pulse(roster, house=parts, standstill=self._heart.standstill)
            rounds: tuple[Round, ...] = (
                self._watch.sweep,
                self._watch.catch_up,
                drift,
                pulse.beat,
                expiries.watch,
                partial(self._reloads, group),
                *served,
                *self._turns.rounds,
            )
            self._rounds += [group.create_task(self._steady(one)) for one in rounds]
            self._rounds += [group.create_task(one) for one in (self._heart.beat(), self._heart.watch(self._stop))]
            self._keep_logins(group)
            self._turns.begin(group, self._stop)
            await roster.serve(self._stop, ready)
            await self._turns.stop()
            for task in (*self._rounds, *(task for _, task in self._logins.values())):
                task.cancel()
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
            await self._breathe()

    async def _breathe(self) -> None:
        """Let those that a reload has changed be walked before the next one.

        They go before jobs whose tokens are about to die: a storm of reloads must not bring ever new ones.
        """
        clock = self._parts.clock
        ends = clock.monotonic() + BREATH.total_seconds()
        await clock.sleep(LOOK)
        while self._roster.stuck_since[1] is not None and clock.monotonic() < ends:  # some are queued
            await clock.sleep(LOOK)

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
        parts.calls.update()
        self._keep_logins(group)
        self._roster.update(new.jobs, moved=connected)
        parts.sink.tell(reload.reloaded(old, new, refused=self._refusals.over()))

    def _keep_logins(self, group: asyncio.TaskGroup) -> None:
        """Keep up the login to each cluster of the settings, and to no other."""
        stores = self._parts.clusters
        for name in [name for name, (store, _) in self._logins.items() if stores.get(name) is not store]:
            self._logins.pop(name)[1].cancel()  # a job that still leaves it logs in when it has to
        for name, store in stores.items():
            if name not in self._logins:
                self._logins[name] = (store, group.create_task(self._steady(store.keep)))

    def _tell(self, name: EventName, level: Level = "info", **fields: Field) -> None:
        self._parts.sink.tell(Event(name=name, level=level, fields=fields))
