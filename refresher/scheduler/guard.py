"""The guard: one PostgreSQL session lock for each job in hand, on a connection of its own.

Why, beside the queue's lease: a node that is frozen for longer than its lease loses its jobs to others in the table and
does not know. The lock is its session's: who is frozen keeps it until the server's `idle_session_timeout`, who is
killed loses it at once, whose machine is gone after the keepalives. So nobody walks a job that a living node has.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, TypeVar

import asyncpg

from refresher.scheduler.database import FAILURES, Database, close

_T = TypeVar("_T")
BEAT_S: Final = 2.0
FRESH_S: Final = 5.0  # an answer that is older proves nothing any more


def key_of(schema: str, name: str) -> int:
    """Return the number of a job's lock, 64 bits with a sign."""
    return int.from_bytes(blake2b(f"{schema}/{name}".encode(), digest_size=8).digest(), "big", signed=True)


class Guard:
    """Holds locks while its session lives. `lost` is called once, when that is over."""

    def __init__(self, connection: asyncpg.Connection, schema: str, lost: Callable[[], None]) -> None:
        self._connection = connection
        self._schema = schema
        self._lost = lost
        self._answered = _ticks()
        self._turn = asyncio.Lock()
        self._deeds: set[asyncio.Task[Any]] = set()
        self._taken: set[str] = set()  # a session's lock is its own to take a second time: here it is not
        connection.add_termination_listener(lambda _: lost())

    @classmethod
    async def open(cls, database: Database, lost: Callable[[], None]) -> "Guard":
        """Return a guard on a connection of its own. Raises FAILURES."""
        idle = f"{database.settings.guard_idle.total_seconds() * 1000:.0f}"
        connection = await database.connect("guard", more={"idle_session_timeout": idle})
        return cls(connection, database.schema, lost)

    def alive(self) -> bool:
        """Whether the locks are ours beyond doubt. A machine that slept counts its sleep."""
        return not self._connection.is_closed() and _ticks() - self._answered < FRESH_S

    async def take(self, name: str) -> bool:
        """Take the lock of `name`; whether it was free. Raises FAILURES."""
        if name in self._taken:
            return False
        self._taken.add(name)
        asking = self._begun(self._try(name))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            self._begun(self._undo(name, asking))
            raise

    async def give(self, name: str) -> None:
        """Give the lock of `name` back; where the session is over, that is done already."""
        await asyncio.shield(self._begun(self._give(name)))

    async def beat(self) -> None:
        """Prove the session every two seconds, until it can't be; then say so."""
        try:
            while True:
                await asyncio.sleep(BEAT_S)
                await self._ask("SELECT 1")
        except FAILURES:
            self.end()
            raise

    def end(self) -> None:
        """Hang up: the locks are free."""
        self._connection.terminate()
        self._lost()

    async def close(self) -> None:
        """Say goodbye."""
        await close(self._connection)

    def _begun(self, deed: Coroutine[object, object, _T]) -> "asyncio.Task[_T]":
        """Return `deed` under way: it comes to its end although whoever waits for it leaves."""
        task = asyncio.create_task(deed)  # noqa: TID251  # it outlives who asks
        self._deeds.add(task)
        task.add_done_callback(self._deeds.discard)
        return task

    async def _try(self, name: str) -> bool:
        got = False
        try:
            got = bool(await self._ask("SELECT pg_try_advisory_lock($1)", key_of(self._schema, name)))
        except FAILURES:
            self.end()  # nobody knows whether the session has the lock: it goes with it
            raise
        finally:
            if not got:
                self._taken.discard(name)
        return got

    async def _give(self, name: str) -> None:
        try:
            await self._ask("SELECT pg_advisory_unlock($1)", key_of(self._schema, name))
        except FAILURES:
            self.end()
        finally:
            self._taken.discard(name)

    async def _undo(self, name: str, asking: "asyncio.Task[bool]") -> None:
        """Give back what was asked for by somebody who is gone."""
        with suppress(*FAILURES):
            if await asking:
                await self._give(name)

    async def _ask(self, statement: str, *values: object) -> object:
        async with self._turn:
            answer: object = await self._connection.fetchval(statement, *values, timeout=FRESH_S)
        self._answered = _ticks()
        return answer


def _ticks() -> float:
    """Seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
