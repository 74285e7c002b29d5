"""The schema of a fleet: made, brought up to date and checked by its owner; a node may only use it."""

import re
from typing import Final

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings

from refresher.scheduler.database import OLDEST, FleetError
from refresher.scheduler.queue_table import builders

ROLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
TABLES: Final = ("refresher_jobs", "refresher_attempts", "refresher_nodes")
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
"""
# Without it, finding out when the next job is due reads the whole table: 360 to 840 ms at a million rows.
INDEX: Final = (
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS refresher_due ON {queue} (execute_after) WHERE status = 'queued'"
)
HAS_INDEX: Final = """
SELECT EXISTS (
    SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE relname = 'refresher_due' AND indisvalid AND indrelid = to_regclass($1)
)
"""


async def install(connection: asyncpg.Connection, schema: str, role: str) -> list[str]:
    """Make all that is missing, and grant `role` (`""`: nobody) what a node needs; return what was done.

    Raises FleetError, asyncpg's errors, and OSError. It can be repeated.
    """
    await _new_enough(connection)
    queries = _queries(connection, schema)
    steps = []
    if await queries.schema_is_installed():
        steps += await _upgraded(queries)
    else:
        await queries.install()
        steps.append(f"schema {schema}: made")
    await queries.optimize_autovacuum()
    await connection.execute(OWN.format(schema=schema))
    names = queries.qbe.settings
    if not await connection.fetchval(HAS_INDEX, names.qualified.queue_table):
        await connection.execute(f"DROP INDEX IF EXISTS {schema}.refresher_due")  # one that was not finished
        await connection.execute(INDEX.format(queue=names.qualified.queue_table))
        steps.append("index refresher_due: made")
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
    if not await connection.fetchval(HAS_INDEX, queries.qbe.settings.qualified.queue_table):
        wrong.append("index refresher_due: there is none, or it is not finished: run refresher cluster upgrade")
    return wrong


def _queries(connection: asyncpg.Connection, schema: str) -> Queries:
    return Queries(AsyncpgDriver(connection), *builders(schema))


async def _upgraded(queries: Queries) -> list[str]:
    plan = await queries.apply_upgrade()
    return [f"{len(plan.statements)} statements: done"] if plan.statements else []


async def _new_enough(connection: asyncpg.Connection) -> None:
    if int(await connection.fetchval("SHOW server_version_num")) < OLDEST:
        raise FleetError(f"PostgreSQL {await connection.fetchval('SHOW server_version')}: 15 or newer is needed")


async def _grant(connection: asyncpg.Connection, names: DBSettings, schema: str, role: str) -> None:
    if ROLE.fullmatch(role) is None:
        raise FleetError('the role takes letters, digits, "_" and "-"')
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        raise FleetError(f'there is no role {role}: CREATE ROLE "{role}" LOGIN; with a password or a certificate')
    qualified = names.qualified
    tables = (qualified.queue_table, qualified.queue_table_log, qualified.statistics_table, qualified.schedules_table)
    ours = ", ".join((*tables, *(f"{schema}.{table}" for table in TABLES)))
    await connection.execute(
        f"""
        REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
        GRANT USAGE ON SCHEMA {schema} TO "{role}";
        GRANT SELECT, INSERT, UPDATE, DELETE ON {ours} TO "{role}";
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO "{role}";
        GRANT EXECUTE ON FUNCTION {qualified.function}() TO "{role}";
        """
    )
