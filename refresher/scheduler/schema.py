"""The schema of a fleet: made, brought up to date and checked by its owner; a node may only use it.

Rules of this module:
- What changes a table waits for nobody for longer than LOCK: who waits for a table lets nobody else to it. It is tried
  again, and can be repeated as a whole.
- A change that nodes of the version before can live with leaves OLDEST as it is: they run on while it is made.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Final

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings

import refresher
from refresher.core.model import Location
from refresher.scheduler.database import OLDEST_SERVER, FleetError
from refresher.scheduler.queue_table import Connection, builders

VERSION: Final = 1  # of our own tables: what this release needs
OLDEST: Final = 1  # the oldest release's VERSION that can use what this one makes
LOCK: Final = "1s"
TRIES: Final = 30
ROLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
TABLES: Final = ("refresher_jobs", "refresher_attempts", "refresher_nodes", "refresher_schema")
OWN: Final = """
CREATE TABLE IF NOT EXISTS {schema}.refresher_jobs (
    job text PRIMARY KEY, kept text NOT NULL, holder text NOT NULL, updated timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS {schema}.refresher_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, holder text NOT NULL, job text NOT NULL,
    at double precision NOT NULL, outcome text NOT NULL, reason text NOT NULL, error text, http_status integer,
    retry_after integer, expires_at double precision, version integer, path text NOT NULL, duration_ms integer NOT NULL
);
CREATE INDEX IF NOT EXISTS refresher_attempts_by_job ON {schema}.refresher_attempts (job, at);
CREATE INDEX IF NOT EXISTS refresher_attempts_by_time ON {schema}.refresher_attempts (at);
CREATE TABLE IF NOT EXISTS {schema}.refresher_nodes (
    holder text PRIMARY KEY, host text NOT NULL, version text NOT NULL, started timestamptz NOT NULL DEFAULT now(),
    seen timestamptz NOT NULL DEFAULT now(), jobs integer NOT NULL, digest text NOT NULL, in_hand integer NOT NULL
);
CREATE TABLE IF NOT EXISTS {schema}.refresher_schema (
    single boolean PRIMARY KEY DEFAULT true CHECK (single), version integer NOT NULL, oldest integer NOT NULL,
    release text NOT NULL
);
ALTER TABLE {schema}.refresher_jobs ADD COLUMN IF NOT EXISTS orders text, ADD COLUMN IF NOT EXISTS host text;
ALTER TABLE {schema}.refresher_nodes ADD COLUMN IF NOT EXISTS manager uuid;
ALTER TABLE {schema}.refresher_schema ADD COLUMN IF NOT EXISTS fingerprints text;
"""
# Without it, finding out when the next job is due reads the whole table: 360 to 840 ms at a million rows.
INDEXES: Final = {
    "refresher_due": "{queue} (execute_after) WHERE status = 'queued'",
    "refresher_jobs_by_update": "{schema}.refresher_jobs (updated, job)",
}
HAS_INDEX: Final = """
SELECT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relname = $1 AND indisvalid AND relnamespace = to_regnamespace($2)
)
"""


async def install(connection: asyncpg.Connection, schema: str, role: str) -> list[str]:
    """Make all that is missing, and grant `role` (`""`: nobody) what a node needs; return what was done.

    Raises FleetError, asyncpg's errors, and OSError. It can be repeated.
    """
    await _new_enough(connection)
    await connection.execute(f"SET lock_timeout = '{LOCK}'")
    for _ in range(TRIES - 1):
        try:
            return await _installed(connection, schema, role)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(1)  # nobody is kept from the table meanwhile
    return await _installed(connection, schema, role)


async def _installed(connection: asyncpg.Connection, schema: str, role: str) -> list[str]:
    queries = _queries(connection, schema)
    found = await version_of(connection, schema)
    if found is not None and found.version > VERSION:
        raise FleetError(f"schema {schema} is refresher {found.release}'s, which is newer than this one: it stays")
    steps = []
    if await queries.schema_is_installed():
        steps += await _upgraded(queries)
    else:
        await queries.install()
        steps.append(f"schema {schema}: made")
    await queries.optimize_autovacuum()
    await connection.execute(OWN.format(schema=schema))
    names = queries.qbe.settings
    for index, what in INDEXES.items():
        if not await connection.fetchval(HAS_INDEX, index, schema):
            await connection.execute(f"DROP INDEX IF EXISTS {schema}.{index}")  # one that was not finished
            on = what.format(queue=names.qualified.queue_table, schema=schema)
            await connection.execute("SET lock_timeout = 0")  # nobody waits for an index that is made beside the work
            await connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {on}")
            await connection.execute(f"SET lock_timeout = '{LOCK}'")
            steps.append(f"index {index}: made")
    await connection.execute(
        f"INSERT INTO {schema}.refresher_schema (version, oldest, release) VALUES ($1, $2, $3)"  # noqa: S608  # a name of our own
        " ON CONFLICT (single) DO UPDATE SET version = $1, oldest = $2, release = $3",
        VERSION,
        OLDEST,
        refresher.__version__,
    )
    if role:
        await _grant(connection, names, schema, role)
        steps.append(f"role {role}: may use it, and nothing else")
    return steps or [f"schema {schema}: as it should be"]


async def verify(connection: asyncpg.Connection, schema: str) -> list[str]:
    """Return what is not as it should be, one line each."""
    await _new_enough(connection)
    queries = _queries(connection, schema)
    if not await queries.schema_is_installed():
        return [f"schema {schema}: there is none: run refresher cluster install"]
    plan = await queries.plan_upgrade()
    wrong = [f"schema {schema}: {len(plan.statements)} changes wait: run refresher cluster upgrade"]
    wrong = wrong if plan.statements else []
    for table in TABLES:
        if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{schema}.{table}"):
            wrong.append(f"table {schema}.{table}: there is none: run refresher cluster upgrade")
    for index in INDEXES:
        if not await connection.fetchval(HAS_INDEX, index, schema):
            wrong.append(f"index {index}: there is none, or it is not finished: run refresher cluster upgrade")
    if not wrong and (why := unfit(await version_of(connection, schema), schema)):
        wrong.append(why)
    return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Of which version the tables are, the oldest that can use them, and the release of refresher that made them."""

    version: int
    oldest: int
    release: str


async def version_of(connection: Connection, schema: str) -> Version | None:
    """Return of which version the tables are; None: there are none, or of before there were versions."""
    if (await connection.fetch("SELECT to_regclass($1) IS NULL AS gone", f"{schema}.refresher_schema"))[0]["gone"]:
        return None
    rows = await connection.fetch(f"SELECT version, oldest, release FROM {schema}.refresher_schema")  # noqa: S608  # a name of our own
    return Version(**dict(rows[0])) if rows else None


async def agreed(connection: Connection, schema: str, own: Location) -> Location:
    """Return where the key of the fleet's fingerprints is: where the first node chose. It does not move with the jobs.

    A schema that was not brought up to date has no room for it, which is PostgreSQL's error.
    """
    rows = await connection.fetch(
        f"UPDATE {schema}.refresher_schema SET fingerprints = COALESCE(fingerprints, $1) RETURNING fingerprints",  # noqa: S608  # a name of our own
        json.dumps([own.cluster, own.mount, own.path]),
    )
    cluster, mount, path = json.loads(rows[0]["fingerprints"]) if rows else (own.cluster, own.mount, own.path)
    return Location(cluster=cluster, mount=mount, path=path)


def unfit(found: Version | None, schema: str) -> str:
    """Return why this release can't use tables of that version, and what to do; `""`: it can."""
    if found is None or found.version < VERSION:
        had = "of an older refresher" if found is None else f"refresher {found.release}'s"
        return (
            f"schema {schema} is missing, or {had}, and this is {refresher.__version__}: run refresher cluster upgrade"
        )
    if found.oldest > VERSION:
        return (
            f"schema {schema} is refresher {found.release}'s, and this is {refresher.__version__}, which can't use it:"
            f" install {found.release} or newer here"
        )
    return ""


def _queries(connection: asyncpg.Connection, schema: str) -> Queries:
    return Queries(AsyncpgDriver(connection), *builders(schema))


async def _upgraded(queries: Queries) -> list[str]:
    plan = await queries.apply_upgrade()
    return [f"{len(plan.statements)} statements: done"] if plan.statements else []


async def _new_enough(connection: asyncpg.Connection) -> None:
    if int(await connection.fetchval("SHOW server_version_num")) < OLDEST_SERVER:
        raise FleetError(f"PostgreSQL {await connection.fetchval('SHOW server_version')}: 15 or newer is needed")


async def _grant(connection: asyncpg.Connection, names: DBSettings, schema: str, role: str) -> None:
    if ROLE.fullmatch(role) is None:
        raise FleetError('the role takes letters, digits, "_" and "-"')
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        raise FleetError(f'there is no role {role}: CREATE ROLE "{role}" LOGIN; with a password or a certificate')
    qualified = names.qualified
    tables = (qualified.queue_table, qualified.queue_table_log, qualified.statistics_table, qualified.schedules_table)
    ours = ", ".join((*tables, *(f"{schema}.{table}" for table in TABLES if table != "refresher_schema")))
    await connection.execute(
        f"""
        REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
        GRANT USAGE ON SCHEMA {schema} TO "{role}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON {ours} TO "{role}";
        GRANT SELECT, UPDATE (fingerprints) ON {schema}.refresher_schema TO "{role}";
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO "{role}";
        GRANT EXECUTE ON FUNCTION {qualified.function}() TO "{role}";
        """
    )
