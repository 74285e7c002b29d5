"""What a node says to the fleet between jobs: that it is there, which jobs it knows, what it has noted."""

import asyncio
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import refresher
from refresher.core import timeline
from refresher.ports import Clock
from refresher.scheduler.claims import Claims
from refresher.scheduler.database import UPKEEP_S, Database, FleetError, close
from refresher.scheduler.queue_table import Connection, QueueTable, digest_of
from refresher.scheduler.schema import unfit, version_of

SAY_S: Final = 5.0


class Notes(Protocol):
    """What the nodes remember together of a job."""

    async def fetch(self, connection: Connection, job: str) -> None:
        """Have it ready, before the job is walked."""

    async def tell(self, connection: Connection, jobs: Iterable[str] | None = None) -> None:
        """Tell the others, before they may have the job; None: all that was not told yet."""

    async def prune(self, connection: Connection) -> None:
        """Forget what is old."""

    async def tried(
        self, connection: Connection, jobs: Collection[str], since: datetime
    ) -> dict[str, list[timeline.Attempt]]:
        """Return what all nodes tried of `jobs` from `since` on, and the last token before, by job, oldest first."""

    async def history(self, connection: Connection, job: str, since: datetime) -> list[Any]:
        """Return all attempts at `job` from `since` on, oldest first."""


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
        self._database, self._settings = database, database.settings
        self._table = QueueTable(database.schema)
        self.manager: UUID | None = None  # the id by which pgqueuer's table knows us
        self._fresh = True
        self._checked: float | None = None
        self._hashed: tuple[Mapping[str, str], int, str] | None = None
        self._strange: dict[str, float] = {}

    async def rounds(self, connection: Connection) -> None:
        """For ever: hold jobs.toml against the table, say that we are there, and pass on what is urgent.

        The first takes a connection of its own: with a million jobs it takes seconds, and nobody is to wait for it, nor
        does a slow one end the cycle.
        """
        while True:
            every, now = self._settings.reconcile.total_seconds(), self._clock.monotonic()
            if self._checked is None or now - self._checked >= every:
                apart = await self._database.connect("upkeep", command_s=UPKEEP_S)
                try:
                    await self.reconcile(apart)
                finally:
                    await close(apart)
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

    async def begin(self, connection: Connection) -> None:
        """Say that we are there; this is where a schema that is not as it should be is met."""
        self._checked = None
        if why := unfit(await version_of(connection, self._database.schema), self._database.schema):
            raise FleetError(why)
        await self._say(connection, self._jobs())

    async def reconcile(self, connection: Connection) -> None:
        """Hold jobs.toml against the table: add what is missing, take out what no node knows any more."""
        table, settings, jobs = self._table, self._settings, self._jobs()
        await self._say(connection, jobs)
        await table.mend(connection)
        await table.add(connection, jobs)
        await table.move(connection, jobs)
        now, strange = self._clock.monotonic(), await table.unknown(connection, jobs)
        self._checked = now
        self._strange = {name: self._strange.get(name, now) for name in strange}
        grace = settings.remove_grace.total_seconds()
        if old := [name for name, since in self._strange.items() if now - since >= grace]:
            await table.remove(connection, old, self._digest(jobs), settings.lease)
        await table.prune(connection, settings.log_keep)
        await table.forget(connection)
        await self._notes.prune(connection)

    async def leave(self, connection: Connection) -> None:
        """Tell what was not told yet, and say that we are gone."""
        await self._notes.tell(connection)
        await self._table.leave(connection, self._holder)

    def _digest(self, jobs: Mapping[str, str]) -> str:
        """Return the hash of the jobs; that of a million takes a second, and they seldom change."""
        if self._hashed is None or self._hashed[0] is not jobs or self._hashed[1] != len(jobs):
            self._hashed = jobs, len(jobs), digest_of(jobs)
        return self._hashed[2]

    async def _say(self, connection: Connection, jobs: Mapping[str, str]) -> None:
        node = {
            "holder": self._holder,
            "host": socket.gethostname(),
            "version": refresher.__version__,
            "jobs": len(jobs),
            "digest": self._digest(jobs),
            "in_hand": self._claims.in_hand,
            "fresh": self._fresh,
            "manager": self.manager,
        }
        await self._table.say(connection, node)
        self._fresh = False
