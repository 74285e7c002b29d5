"""Nodes of a fleet in this process, each with an engine of its own on a real PostgreSQL."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from refresher.core.secret import Secret
from refresher.core.settings import Postgres
from refresher.host.clock import SystemClock
from refresher.scheduler import schema
from refresher.scheduler.claims import Claims, Questions
from refresher.scheduler.database import Database, close
from refresher.scheduler.engine import Engine
from refresher.scheduler.news import Tidings
from tests.servers.postgres import PASSWORD, ROLE, Base

PATIENCE = 60
LEASE = timedelta(seconds=2)
POLL = timedelta(seconds=0.3)
_numbers = itertools.count()


class NoNotes:
    """Remembers nothing together."""

    async def fetch(self, connection, job):
        pass

    async def tell(self, connection, jobs=None):
        pass

    async def prune(self, connection):
        pass

    async def news(self, _connection, _after):
        return [], None


@dataclass
class Told:
    """A sink."""

    events: list[Any] = field(default_factory=list)

    def tell(self, event) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [one.name for one in self.events if one.level != "debug"]


@dataclass
class Node:
    """`jobs` may be changed; `busy` are those whose walk is under way; `calls` is who was called, and when."""

    claims: Claims
    engine: Engine
    told: Told
    jobs: dict[str, str]
    clock: SystemClock = field(default_factory=SystemClock)

    async def due(self) -> tuple[str, ...]:
        return await asyncio.wait_for(self.claims.due(), PATIENCE)

    async def names(self, count: int) -> list[str]:
        names: list[str] = []
        while len(names) < count:
            names += await self.due()
        return names

    async def nothing(self, seconds: float) -> bool:
        """Whether nobody is called for so long."""
        try:
            await asyncio.wait_for(self.claims.due(), seconds)
        except TimeoutError:
            return True
        return False


def settings_of(base: Base, **more: Any) -> Postgres:
    return Postgres(dsn=base.node, **{"lease": LEASE, "poll": POLL} | more)


def database_of(base: Base, **more: Any) -> Database:
    return Database(settings_of(base, **more), holder="test", read=lambda _: Secret(PASSWORD))


async def install(base: Base) -> None:
    connection = await Database(Postgres(dsn=base.owner), holder="owner", read=lambda _: Secret("")).connect(
        "test", base.owner
    )
    await schema.install(connection, "refresher", ROLE)
    await close(connection)


@asynccontextmanager
async def node(
    base: Base,
    jobs: Mapping[str, str],
    *,
    harmless: Callable[[str], bool] = lambda _: True,
    notes: Any = None,
    **more: Any,
) -> AsyncIterator[Node]:
    """Run a node until the end of the block; it drains then."""
    mine, clock, told = dict(jobs), SystemClock(), Told()
    more = {key: more[key] for key in more} | {"password": object()}
    questions = Questions(
        knows=lambda name: name in mine, busy=lambda _: True, walks=lambda _: False, harmless=harmless
    )
    claims = Claims(clock, questions)
    engine = Engine(
        claims,
        database_of(base, **more),
        clock=clock,
        sink=told,
        holder=f"node-{next(_numbers)}",
        jobs=lambda: mine,
        providers=("oauth2", "semansys"),
        notes=notes or NoNotes(),
        tidings=Tidings(
            database_of(base, **more), told=NoNotes(), clock=clock, hear=lambda *_: True, mark=lambda *_: None
        ),
    )
    tasks = [asyncio.ensure_future(one) for one in (engine.run(), engine.watch(), claims.listen_alone())]
    try:
        yield Node(claims, engine, told, mine)
    finally:
        await engine.stop()
        claims.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  # of a database: nothing tells
            await asyncio.sleep(0.05)
