"""A person's deed on one node, whichever node has the job: it comes into this one's hands first.

Rules of this module:
- The guard's lock decides, as for every walk: two nodes never have a job in hand at once.
- Who has it is waited for, for a moment; then it is said who that is.
- What the deed left of a job is told to the others before the lock is given back, and its row comes due accordingly.
- Who asked may be gone by then: what was begun comes to its end all the same.
- A node that has just started is not one without PostgreSQL: until it knows, it is waited for, for a moment.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from refresher.core.errors import ElsewhereError
from refresher.core.timeline import Attempt
from refresher.core.view import FleetView
from refresher.scheduler.claims import Claims
from refresher.scheduler.database import FAILURES
from refresher.scheduler.guard import Guard, key_of
from refresher.scheduler.news import Tidings
from refresher.scheduler.queue_table import Connection, QueueTable
from refresher.scheduler.upkeep import Notes

_T = TypeVar("_T")
WAIT_S: Final = 5.0  # for the walk of another node
LOOK_S: Final = 0.2
HOLDER: Final = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND ((classid::bigint << 32) | objid::bigint) = $1
"""


class Hands:
    """Takes jobs in hand for whoever asks."""

    def __init__(self, claims: Claims, schema: str, *, notes: Notes, tidings: Tidings) -> None:
        self._claims, self._notes, self._tidings = claims, notes, tidings
        self._schema, self._table = schema, QueueTable(schema)
        self._present: tuple[Guard, Connection] | None = None
        self._known = asyncio.Event()
        self._keepers: set[asyncio.Task[None]] = set()

    def open(self, guard: Guard, connection: Connection) -> None:
        """Be able to take jobs in hand from now on."""
        self._present = guard, connection
        self._known.set()

    def away(self) -> None:
        """Know that PostgreSQL can't be reached."""
        self._known.set()

    async def close(self, *, lost: bool) -> None:
        """Take no more, and give back what was taken: at once where PostgreSQL is away, else when it is over with."""
        self._present = None
        if lost:
            self._claims.lose()
        if self._keepers:
            await asyncio.wait(self._keepers)

    def view(self) -> FleetView:
        """Return who is there, as of a few seconds ago."""
        return self._tidings.view()

    @property
    def there(self) -> bool:
        """Whether PostgreSQL can be reached."""
        return self._present is not None

    async def know(self, name: str) -> bool:
        """Hear how the fleet has `name`, as of now; whether it could be asked."""
        await self._settled()
        return await self._asked(lambda connection: self._tidings.learn(connection, name)) is not None

    async def tell(self, name: str, *, due: bool = False) -> bool:
        """Tell the others what a person has decided of `name`, and have it come due; whether they can know it now."""

        async def told(connection: Connection) -> bool:
            await self._notes.tell(connection, (name,))
            if due:
                await self._table.put_off(connection, name, timedelta())
            return True

        return await self._asked(told) is not None

    async def tried(self, jobs: Collection[str], since: datetime) -> dict[str, list[Attempt]] | None:
        """Return what all nodes tried of `jobs` from `since` on; None: PostgreSQL is away."""
        return await self._asked(lambda connection: self._notes.tried(connection, jobs, since))

    async def history(self, job: str, since: datetime) -> list[Any] | None:
        """Return all attempts at `job` from `since` on, as the ledger has them; None: PostgreSQL is away."""
        return await self._asked(lambda connection: self._notes.history(connection, job, since))

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[bool]:
        """Have `name` in hand while the block lasts; whether a rotation may be asked for.

        It may not while PostgreSQL is away, but for a job of which two walks at once spend nothing. Raises
        ElsewhereError, with the name of the node that has it.
        """
        await self._settled()
        present, keeper = self._present, None
        try:
            if present is not None:
                keeper = await self._take(name, *present)
        except FAILURES:
            present = None
        if present is None:
            yield self._claims.questions.harmless(name)
            return
        with self._claims.pinned(name):
            yield True
        if keeper is not None:
            await asyncio.shield(keeper)

    async def _settled(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await self._known.wait()

    async def _asked(self, question: Callable[[Connection], Awaitable[_T]]) -> _T | None:
        if self._present is None:
            return None
        try:
            return await question(self._present[1])
        except FAILURES:
            return None

    async def _take(self, name: str, guard: Guard, connection: Connection) -> "asyncio.Task[None] | None":
        """Take `name` in hand, and return who gives it back; None: it is in hand already. Raises ElsewhereError."""
        waited = 0.0
        while not self._claims.has(name):
            if await guard.take(name):
                try:
                    await self._notes.fetch(connection, name)
                except BaseException:
                    await guard.give(name)
                    raise
                over = self._claims.take(name, guard.alive, called=True)
                keeper = asyncio.create_task(self._give(name, over, guard, connection))  # noqa: TID251  # it outlives who asks
                self._keepers.add(keeper)
                keeper.add_done_callback(self._keepers.discard)
                return keeper
            if waited >= WAIT_S:
                rows = await connection.fetch(HOLDER, key_of(self._schema, name))
                holder = str(rows[0]["application_name"]).rpartition(" ")[2] if rows else ""
                raise ElsewhereError(self._tidings.node(holder) if holder else "another node")
            waited += LOOK_S
            await asyncio.sleep(LOOK_S)
        return None

    async def _give(self, name: str, over: Awaitable[timedelta], guard: Guard, connection: Connection) -> None:
        """Give `name` back once it is over with."""
        delay = await over
        try:
            await self._notes.tell(connection, (name,))
            await self._table.put_off(connection, name, delay)
        except FAILURES:  # the row comes due as it was to, and whoever is called then looks at Vault first
            pass
        await guard.give(name)
