"""A job of a fleet that has another name now: what stands in PostgreSQL goes on under it."""

from typing import Any, Protocol


class Connection(Protocol):
    """What we need of a connection to PostgreSQL."""

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return rows."""

    async def execute(self, query: str, *args: object) -> str:
        """Return what was done."""


async def move(connection: Connection, schema: str, before: str, job: str) -> None:
    """Have `job` go on with what stands under the name `before`, unless something stands under its own, and is newer.

    It is told of anew, so that all nodes hear of it.
    """
    jobs = f"{schema}.refresher_jobs"
    await connection.execute(
        f"UPDATE {jobs} SET job = $2, updated = now() WHERE job = $1"  # noqa: S608  # names of our own
        f" AND NOT EXISTS (SELECT FROM {jobs} WHERE job = $2)",
        before,
        job,
    )
    await connection.execute(f"UPDATE {schema}.refresher_attempts SET job = $2 WHERE job = $1", before, job)  # noqa: S608  # as above
