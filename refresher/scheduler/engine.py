"""One node of a fleet: pgqueuer on PostgreSQL brings jobs into our hands, and takes them back with a delay.

Rules of this module:
- The handler never fails: pgqueuer deletes the row of one that does.
- One connection, not a pool: a broken one ends the cycle, and the next begins within a second.
- What is under way when PostgreSQL goes away comes to its end; nobody waits for PostgreSQL.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job

from refresher.core.events import Event, EventName, Field, Level
from refresher.ports import Clock, Sink
from refresher.scheduler.claims import AGAIN, Claims
from refresher.scheduler.database import Database, close, said
from refresher.scheduler.guard import Guard
from refresher.scheduler.hands import Hands
from refresher.scheduler.news import Tidings
from refresher.scheduler.queries import FencedQueries
from refresher.scheduler.queue_table import Connection, builders, entrypoint
from refresher.scheduler.upkeep import Notes, Upkeep

BATCH: Final = 20
STRANGE: Final = timedelta(seconds=5)  # a job that this node does not know: another one may
RESTART: Final = timedelta(seconds=1)
DRAIN_S: Final = 5.0


class Engine:
    """Runs cycles until stopped. `jobs` returns the configured jobs, name to provider, as they are now."""

    def __init__(  # noqa: PLR0913  # what a node needs
        self,
        claims: Claims,
        database: Database,
        *,
        clock: Clock,
        sink: Sink,
        holder: str,
        jobs: Callable[[], Mapping[str, str]],
        providers: tuple[str, ...],
        notes: Notes,
        tidings: Tidings,
    ) -> None:
        self._claims, self._database, self._clock, self._sink = claims, database, clock, sink
        self._providers = providers
        self._notes = notes
        self._upkeep = Upkeep(claims, database, notes=notes, clock=clock, holder=holder, jobs=jobs)
        self._tidings = tidings
        self.hands = Hands(claims, database.schema, notes=notes, tidings=tidings)
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._away_since: float | None = clock.monotonic()
        self._told = False

    async def run(self) -> None:
        """Be a node until `stop`; never raises."""
        try:
            while not self._stop.is_set():
                error: BaseException | None = None
                try:
                    await self._cycle()
                except Exception as problem:  # noqa: BLE001  # whatever it is: the next cycle begins afresh
                    error = problem
                if error is not None:
                    self._away(error)
                self._claims.lose(lost=error is not None)
                await self._sleep(RESTART)
        finally:
            self._stopped.set()

    async def watch(self) -> None:
        """For ever: give back what nobody walks, and go alone once PostgreSQL is away for a lease."""
        lease = self._database.settings.lease.total_seconds()
        while True:
            await self._clock.sleep(timedelta(seconds=1))
            self._claims.withdraw()
            since = self._away_since
            if since is not None and not self._claims.alone and self._clock.monotonic() - since >= lease:
                harmless, waiting = self._claims.go_alone()
                self._tell("scheduler_away", "error", alone=True, jobs=harmless, waiting=waiting)

    def stopping(self) -> None:
        """Take no more, and let the others have what is not walked yet."""
        self._stop.set()
        self._claims.withdraw(all_but_walking=True)

    async def stop(self) -> None:
        """Give everything back and end, within a few seconds."""
        self.stopping()
        self._claims.lose(lost=False)
        with suppress(TimeoutError):  # the lease gives back what we could not
            async with asyncio.timeout(DRAIN_S):
                await self._stopped.wait()

    async def _cycle(self) -> None:
        connection = await self._database.connect("node")
        try:
            connection.add_termination_listener(lambda _: self._claims.lose())

            def lost() -> None:
                connection.terminate()
                self._claims.lose()

            guard = await Guard.open(self._database, lost)
            try:
                await self._serve(connection, guard)
            finally:
                await guard.close()
        finally:
            await close(connection)

    async def _serve(self, connection: asyncpg.Connection, guard: Guard) -> None:
        environment, queue = builders(self._database.schema)
        queries = FencedQueries(AsyncpgDriver(connection), environment, queue)
        queries.failed = lambda error: self._tell("scheduler_away", "debug", error=said(error))
        manager = QueueManager(queries, channel=environment.settings.channel)
        settings = self._database.settings

        async def attend(job: Job) -> None:
            raise RetryRequested(await self._attended(job, guard, queries.driver)) from None

        for provider in self._providers:
            limit = settings.per_provider.get(provider, 0)
            manager.entrypoint(entrypoint(provider), concurrency_limit=limit, on_failure="hold")(attend)
        self._upkeep.manager = manager.queue_manager_id
        await self._upkeep.begin(queries.driver)
        self._back()
        self.hands.open(guard, queries.driver)

        async def ending() -> None:
            await self._stop.wait()
            manager.shutdown.set()

        tasks = [
            asyncio.create_task(one)  # noqa: TID251  # a cycle ends with the first of them, unlike a group's
            for one in (
                ending(),
                guard.beat(),
                self._upkeep.rounds(queries.driver),
                self._tidings.rounds(queries.driver),
            )
        ]
        run = asyncio.create_task(  # noqa: TID251  # as above
            manager.run(
                dequeue_timeout=settings.poll,
                batch_size=BATCH,
                heartbeat_timeout=settings.lease,
                max_concurrent_tasks=settings.max_in_flight,
                shutdown_on_listener_failure=True,
                log_aggregation_interval=timedelta(),
            )
        )
        try:
            await asyncio.wait([run, *tasks[1:]], return_when=asyncio.FIRST_COMPLETED)
            if not run.done() and not self._stop.is_set():
                connection.terminate()
                self._claims.lose()
            for task in tasks[1:]:
                if task.done():
                    task.result()
            await run
        finally:
            if not run.done():
                connection.terminate()
                self._claims.lose()
            await self.hands.close(lost=not self._stop.is_set())
            for task in (run, *tasks):
                task.cancel()
            await asyncio.wait([run, *tasks])
        if self._stop.is_set():
            await self._upkeep.leave(queries.driver)

    async def _attended(self, job: Job, guard: Guard, connection: Connection) -> timedelta:
        """Have `job` in hand until the roster gives it back; return in how long it is due again. Never raises."""
        try:
            name = (job.payload or b"").decode()
            if not self._claims.questions.knows(name):
                return STRANGE
            if self._stop.is_set() or not await guard.take(name):
                return AGAIN
            try:
                await self._notes.fetch(connection, name)
                delay = await self._claims.take(name, guard.alive)
                await self._notes.tell(connection, (name,))
            finally:
                await guard.give(name)
        except asyncio.CancelledError:
            return AGAIN
        except Exception as error:  # noqa: BLE001  # never: the row would go
            self._tell("scheduler_away", "debug", error=said(error))
            return AGAIN
        return delay

    def _away(self, error: BaseException) -> None:
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
        self.hands.away()
        if not self._told:
            self._told = True
            self._tell("scheduler_away", "warning", error=said(error))

    def _back(self) -> None:
        since, self._away_since = self._away_since, None
        self._claims.come_back()
        if self._told and since is not None:
            self._told = False
            self._tell("scheduler_back", "info", outage_s=round(self._clock.monotonic() - since))

    async def _sleep(self, span: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(span.total_seconds()):
                await self._stop.wait()

    def _tell(self, name: EventName, level: Level, **fields: Field) -> None:
        self._sink.tell(Event(name=name, level=level, fields=fields))
