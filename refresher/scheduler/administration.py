"""What an administrator does with a fleet's schema, each on one connection; errors are one line."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg

from refresher.core.errors import UnreadableReferenceError
from refresher.scheduler import schema
from refresher.scheduler.database import FAILURES, Database, FleetError, close, said
from refresher.scheduler.queue_table import Node, QueueTable

T = TypeVar("T")


@asynccontextmanager
async def _connected(database: Database, dsn: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await database.connect("administration", dsn)
        try:
            yield connection
        finally:
            await close(connection)
    except (*FAILURES, UnreadableReferenceError) as error:  # the password's
        raise FleetError(f"PostgreSQL: {said(error)}") from None


async def install(database: Database, dsn: str, role: str | None) -> list[str]:
    """Make the schema, or bring it up to date, as its owner; return what was done. Raises FleetError.

    `role`: who may use it; None: the user of jobs.toml, unless that is the owner itself.
    """
    node = unquote(urlsplit(database.settings.dsn).username or "")
    owner = unquote(urlsplit(dsn).username or "") if dsn else node
    granted = role if role is not None else ("" if node == owner else node)
    async with _connected(database, dsn) as connection:
        return await schema.install(connection, database.schema, granted)


async def verify(database: Database, dsn: str) -> list[str]:
    """Return what is not as it should be. Raises FleetError."""
    async with _connected(database, dsn) as connection:
        return await schema.verify(connection, database.schema)


async def answered(database: Database, question: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Return what a node's connection answers to `question`. Raises FleetError."""
    async with _connected(database, "") as connection:
        return await question(connection)


async def nodes(database: Database, dsn: str) -> list[Node]:
    """Return the nodes, the newest word first. Raises FleetError."""
    async with _connected(database, dsn) as connection:
        return await QueueTable(database.schema).nodes(connection, database.settings.lease)
