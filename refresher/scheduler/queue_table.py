"""What we say to pgqueuer's table beside pgqueuer: one row for each job, and who the nodes are.

Rules of this module:
- A row holds a job's name and its provider's, and nothing else of ours.
- What every node of a fleet does alike does no harm twice, and nodes with different jobs.toml do not fight: a row is
  taken out only once all living nodes have the same jobs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Protocol
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel

from refresher.scheduler.queries import DUE_FIRST

PREFIX: Final = "refresh:"
EACH: Final = timedelta(milliseconds=10)  # between the first turns of two jobs
LONGEST: Final = timedelta(minutes=5)  # and between those of the first job and the last
DEAD: Final = 3  # turns of the lease after which a node that said nothing is gone
FORGOTTEN: Final = timedelta(days=1)
NODE: Final = "holder, host, version, started, seen, jobs, digest, in_hand, manager"  # a newer release may have more


class Connection(Protocol):
    """What we need of asyncpg's."""

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return rows."""

    async def execute(self, query: str, *args: object) -> str:
        """Return what was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the fleet, as it last said itself. `alive`: it spoke within a few leases."""

    holder: str
    host: str
    version: str
    started: datetime
    seen: datetime
    jobs: int
    digest: str
    in_hand: int
    manager: UUID | None
    alive: bool


def settings_of(schema: str) -> DBSettings:
    """Return pgqueuer's names for a fleet in `schema`; its notices are the fleet's own."""
    return DBSettings(db_schema=schema, channel=Channel(f"ch_{schema}"))


def builders(schema: str) -> tuple[QueryBuilderEnvironment, QueryQueueBuilder]:
    """Return what makes pgqueuer's statements for `schema`."""
    names = settings_of(schema)
    return QueryBuilderEnvironment(settings=names), QueryQueueBuilder(settings=names)


def digest_of(jobs: Mapping[str, str]) -> str:
    """Return a short hash of which jobs there are."""
    return blake2b("\n".join(sorted(jobs)).encode(), digest_size=8).hexdigest()


def entrypoint(provider: str) -> str:
    """Return pgqueuer's word for the jobs of one provider."""
    return PREFIX + provider


class QueueTable:
    """The table of one fleet."""

    def __init__(self, schema: str) -> None:
        names = settings_of(schema)
        self._queue, self._log = names.qualified.queue_table, names.qualified.queue_table_log
        self._status, self._nodes = names.qualified.queue_status_type, f"{schema}.refresher_nodes"

    async def add(self, connection: Connection, jobs: Mapping[str, str]) -> int:
        """Give each of `jobs` (name to provider) its row, where it has none; return how many are new.

        Their first turns are spread, in an order that every node makes the same.
        """
        spread = min(EACH * len(jobs), LONGEST)
        rows = await connection.fetch(
            f"""
            INSERT INTO {self._queue} (priority, entrypoint, payload, dedupe_key, status, execute_after)
            SELECT 0, entrypoint, convert_to(name, 'UTF8'), name, 'queued', now() + $3::interval * share
            FROM unnest($1::text[], $2::text[], $4::float8[]) AS wanted(name, entrypoint, share)
            WHERE NOT EXISTS (
                SELECT FROM {self._queue} AS known
                WHERE known.dedupe_key = wanted.name AND known.status IN ('queued', 'picked')
            )
            ON CONFLICT (dedupe_key) WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL DO NOTHING
            RETURNING id
            """,  # noqa: S608  # names of our own
            list(jobs),
            [entrypoint(provider) for provider in jobs.values()],
            spread,
            [int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big") / 2**32 for name in jobs],
        )
        return len(rows)

    async def move(self, connection: Connection, jobs: Mapping[str, str]) -> None:
        """Have each row stand under the provider that its job has now."""
        await connection.execute(
            f"""
            UPDATE {self._queue} AS row SET entrypoint = wanted.entrypoint, updated = now()
            FROM unnest($1::text[], $2::text[]) AS wanted(name, entrypoint)
            WHERE row.dedupe_key = wanted.name AND row.status = 'queued' AND row.entrypoint <> wanted.entrypoint
            """,  # noqa: S608  # names of our own
            list(jobs),
            [entrypoint(provider) for provider in jobs.values()],
        )

    async def mend(self, connection: Connection) -> None:
        """Have what pgqueuer parked as failed go on; one that has another row meanwhile goes."""
        await connection.execute(
            f"""
            DELETE FROM {self._queue} AS parked WHERE parked.status = 'failed' AND EXISTS (
                SELECT FROM {self._queue} AS known
                WHERE known.dedupe_key = parked.dedupe_key AND known.status IN ('queued', 'picked')
            )
            """  # noqa: S608  # names of our own
        )
        await connection.execute(
            f"UPDATE {self._queue} SET status = 'queued', execute_after = now(), updated = now(),"  # noqa: S608  # as above
            " queue_manager_id = NULL, slot = NULL WHERE status = 'failed'"
        )

    async def unknown(self, connection: Connection, jobs: Collection[str]) -> set[str]:
        """Return the names of rows that are none of `jobs`."""
        rows = await connection.fetch(
            f"""
            SELECT dedupe_key FROM {self._queue} WHERE status = 'queued' AND dedupe_key IS NOT NULL
            AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS known(name) WHERE known.name = dedupe_key)
            """,  # noqa: S608  # names of our own
            list(jobs),
        )
        return {row["dedupe_key"] for row in rows}

    async def remove(self, connection: Connection, names: Collection[str], digest: str, lease: timedelta) -> bool:
        """Take the rows of `names` out, unless a living node has other jobs than `digest` says; return whether."""
        done = await connection.execute(
            f"""
            DELETE FROM {self._queue} WHERE dedupe_key = ANY($1::text[]) AND status = 'queued'
            AND NOT EXISTS (
                SELECT FROM {self._nodes} WHERE digest <> $2 AND seen > now() - $3::interval
            )
            """,  # noqa: S608  # names of our own
            list(names),
            digest,
            lease * DEAD,
        )
        return done != "DELETE 0"

    async def hasten(self, connection: Connection, names: Collection[str]) -> None:
        """Make the rows of `names` due now."""
        await connection.execute(
            f"UPDATE {self._queue} SET execute_after = now() WHERE dedupe_key = ANY($1::text[])"  # noqa: S608  # as above
            " AND status = 'queued' AND execute_after > now()",
            list(names),
        )

    async def prune(self, connection: Connection, keep: timedelta) -> None:
        """Forget pgqueuer's log of picks, which grows by a row with each."""
        await connection.execute(f"DELETE FROM {self._log} WHERE created < now() - $1::interval", keep)  # noqa: S608  # as above

    async def say(self, connection: Connection, node: Mapping[str, object]) -> None:
        """Say that this node is there, and what it has."""
        await connection.execute(
            f"""
            INSERT INTO {self._nodes} (holder, host, version, jobs, digest, in_hand, manager)
            VALUES ($1, $2, $3, $4, $5, $6, $8)
            ON CONFLICT (holder) DO UPDATE SET host = $2, version = $3, jobs = $4, digest = $5, in_hand = $6,
            manager = $8, seen = now(), started = CASE WHEN $7 THEN now() ELSE {self._nodes}.started END
            """,  # noqa: S608  # names of our own
            *(node[key] for key in ("holder", "host", "version", "jobs", "digest", "in_hand", "fresh", "manager")),
        )

    async def leave(self, connection: Connection, holder: str) -> None:
        """Say that this node is gone."""
        await connection.execute(f"DELETE FROM {self._nodes} WHERE holder = $1", holder)  # noqa: S608  # as above

    async def nodes(self, connection: Connection, lease: timedelta) -> list[Node]:
        """Return the nodes, the newest word first."""
        rows = await connection.fetch(
            f"SELECT {NODE}, seen > now() - $1::interval AS alive FROM {self._nodes} ORDER BY seen DESC",  # noqa: S608  # as above
            lease * DEAD,
        )
        return [Node(**dict(row)) for row in rows]

    async def in_hand(self, connection: Connection) -> list[tuple[str, UUID]]:
        """Return which jobs some node has in hand, each with the id of that node's queue manager."""
        rows = await connection.fetch(
            f"SELECT dedupe_key, queue_manager_id FROM {self._queue} WHERE status = 'picked'"  # noqa: S608  # as above
            " AND dedupe_key IS NOT NULL AND queue_manager_id IS NOT NULL"
        )
        return [(row["dedupe_key"], row["queue_manager_id"]) for row in rows]

    async def put_off(self, connection: Connection, name: str, delay: timedelta) -> None:
        """Have the row of `name` come due after `delay`, where nobody has it in hand."""
        await connection.execute(
            f"UPDATE {self._queue} SET execute_after = now() + $2::interval, updated = now(), {DUE_FIRST}"  # noqa: S608  # as above
            " WHERE dedupe_key = $1 AND status = 'queued'",
            name,
            delay,
        )

    async def forget(self, connection: Connection) -> None:
        """Forget the nodes that are gone for long."""
        await connection.execute(f"DELETE FROM {self._nodes} WHERE seen < now() - $1::interval", FORGOTTEN)  # noqa: S608  # as above
