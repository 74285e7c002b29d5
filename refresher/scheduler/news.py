"""What the other nodes did, as one node hears it: of each job how it was left, and who is there.

Rules of this module:
- Every few seconds, a page of what was told since, along an index; Vault is asked nothing.
- A statement that took long is told late, and with an earlier time: what is older by OVERLAP is read again.
- What is heard is for those who look. Whoever walks a job asks the fleet, and Vault, of that job alone.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

from refresher.core.remembered import News
from refresher.core.view import FleetView
from refresher.ports import Clock
from refresher.scheduler.database import Database
from refresher.scheduler.queue_table import Connection, Node, QueueTable

EVERY: Final = timedelta(seconds=2)
OVERLAP: Final = timedelta(seconds=5)
STALE_S: Final = 15.0  # after so long without an answer nobody knows who is there
START: Final = datetime(1970, 1, 1, tzinfo=UTC)
Hear: TypeAlias = Callable[[News, str], bool]  # of a job, and the name of who had it last; False: later
Cursor: TypeAlias = tuple[datetime, str]


class Told(Protocol):
    """Where the nodes tell what they did."""

    async def news(self, connection: Connection, after: Cursor) -> tuple[list[News], Cursor | None]:
        """Return a page of what was told since `after`, and where it goes on; None: that was all."""

    async def news_of(self, connection: Connection, job: str) -> list[News]:
        """Return what was told of `job`; nothing where nobody has told of it."""


class Tidings:
    """Hears of the other nodes. `hear` is called with each job that one of them told of; `mark` with who has a job."""

    def __init__(
        self, database: Database, *, told: Told, clock: Clock, hear: Hear, mark: Callable[[str, str], None]
    ) -> None:
        self._table, self._lease = QueueTable(database.schema), database.settings.lease
        self._told, self._clock, self._hear, self._mark = told, clock, hear, mark
        self._after = START
        self._heard: dict[str, datetime] = {}  # since then, so that what is read again is heard once
        self._nodes: list[Node] = []
        self._read_at: float | None = None

    def view(self) -> FleetView:
        """Return who is there, as of a few seconds ago."""
        names = names_of(self._nodes)
        return FleetView(
            alive=tuple(sorted(names[one.holder] for one in self._nodes if one.alive)),
            gone=tuple(sorted(names[one.holder] for one in self._nodes if not one.alive)),
            away=self._read_at is None or self._clock.monotonic() - self._read_at > STALE_S,
        )

    def node(self, holder: str) -> str:
        """Return the name of a node; what it is called by to people."""
        return names_of(self._nodes).get(holder, holder)

    async def learn(self, connection: Connection, job: str) -> bool:
        """Hear how the fleet has `job`, as of now; whether anybody has told of it."""
        found = await self._told.news_of(connection, job)
        for one in found:
            self._hear(one, names_of(self._nodes).get(one.holder, one.host or one.holder))
        return bool(found)

    async def rounds(self, connection: Connection) -> None:
        """For ever, hear what there is to hear."""
        while True:
            await self.hear(connection)
            await self._clock.sleep(EVERY)

    async def hear(self, connection: Connection) -> None:
        """Hear all that was told since the last time."""
        self._nodes = await self._table.nodes(connection, self._lease)
        self._read_at = self._clock.monotonic()
        names = names_of(self._nodes)
        page: Cursor | None = (self._after - OVERLAP, "") if self._after > START else (START, "")
        while page is not None:
            found, page = await self._told.news(connection, page)
            for one in found:
                new = self._heard.get(one.job) != one.at
                if new and self._hear(one, names.get(one.holder, one.host or one.holder)):
                    self._heard[one.job] = one.at
            if page is not None:
                self._after = max(self._after, page[0])
            await asyncio.sleep(0)
        latest = self._after - OVERLAP
        self._heard = {job: at for job, at in self._heard.items() if at > latest}
        managers = {one.manager: names[one.holder] for one in self._nodes if one.manager is not None}
        for job, manager in await self._table.in_hand(connection):
            if (name := managers.get(manager)) is not None:
                self._mark(job, name)


def names_of(nodes: list[Node]) -> dict[str, str]:
    """Return what each node is called by: its host, and some of its id where a host has several."""
    hosts = Counter(one.host for one in nodes)
    return {one.holder: one.host if hosts[one.host] == 1 else f"{one.host}/{one.holder[:6]}" for one in nodes}
