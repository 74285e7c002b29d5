"""What a node says to the fleet between jobs: that it is there, which jobs it knows, what it has noted."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import refresher
from refresher.ports import Clock
from refresher.scheduler.claims import Claims
from refresher.scheduler.database import Database
from refresher.scheduler.queue_table import Connection, QueueTable, digest_of

SAY_S: Final = 5.0


class Notes(Protocol):
    """What the nodes remember together of a job."""

    async def fetch(self, connection: Connection, job: str) -> None:
        """Have it ready, before the job is walked."""

    async def tell(self, connection: Connection, jobs: Iterable[str] | None = None) -> None:
        """Tell the others, before they may have the job; None: all that was not told yet."""

    async def prune(self, connection: Connection) -> None:
        """Forget what is old."""


class Upkeep:
    """Keeps the table as jobs.toml says. `jobs` returns the configured jobs, name to provider, as they are now."""

    def __init__(  # noqa: PLR0913  # what a node says of itself
        self,
        claims: Claims,
        database: Database,
        *,
        notes: Notes,
        clock: Clock,
        holder: str,
        jobs: Callable[[], Mapping[str, str]],
    ) -> None:
        self._claims, self._notes, self._clock, self._holder, self._jobs = claims, notes, clock, holder, jobs
        self._settings = database.settings
        self._table = QueueTable(database.schema)
        self._fresh = True
        self._checked = clock.monotonic()
        self._strange: dict[str, float] = {}

    async def rounds(self, connection: Connection) -> None:
        """For ever: say that we are there, pass on what is urgent, and hold jobs.toml against the table."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SAY_S):
                    await self._claims.wishes.told.wait()
            wishes, jobs = self._claims.wishes, self._jobs()
            wishes.told.clear()
            urgent, wishes.urgent = wishes.urgent, set()
            if urgent:
                await self._table.add(connection, {name: jobs[name] for name in urgent if name in jobs})
                await self._table.hasten(connection, urgent)
            await self._say(connection, jobs)
            await self._notes.tell(connection)
            if self._clock.monotonic() - self._checked >= self._settings.reconcile.total_seconds():
                await self.reconcile(connection)

    async def reconcile(self, connection: Connection) -> None:
        """Hold jobs.toml against the table: add what is missing, take out what no node knows any more."""
        table, settings, jobs = self._table, self._settings, dict(self._jobs())
        await self._say(connection, jobs)
        await table.mend(connection)
        await table.add(connection, jobs)
        await table.move(connection, jobs)
        now, strange = self._clock.monotonic(), await table.unknown(connection, jobs)
        self._checked = now
        self._strange = {name: self._strange.get(name, now) for name in strange}
        grace = settings.remove_grace.total_seconds()
        if old := [name for name, since in self._strange.items() if now - since >= grace]:
            await table.remove(connection, old, digest_of(jobs), settings.lease)
        await table.prune(connection, settings.log_keep)
        await self._notes.prune(connection)

    async def leave(self, connection: Connection) -> None:
        """Tell what was not told yet, and say that we are gone."""
        await self._notes.tell(connection)
        await self._table.leave(connection, self._holder)

    async def _say(self, connection: Connection, jobs: Mapping[str, str]) -> None:
        node = {
            "holder": self._holder,
            "host": socket.gethostname(),
            "version": refresher.__version__,
            "jobs": len(jobs),
            "digest": digest_of(jobs),
            "in_hand": self._claims.in_hand,
            "fresh": self._fresh,
        }
        await self._table.say(connection, node)
        self._fresh = False
