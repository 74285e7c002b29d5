"""No statement that a waiting node repeats reads the whole table.

Each is written down as the node says it, and explained; and PostgreSQL's own counts of what was read are asked.
"""

import asyncio
import re
from contextlib import suppress
from datetime import timedelta

import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver

from refresher.scheduler.database import close
from tests.scheduler.nodes import Node, database_of, install, node, until
from tests.scheduler.test_load import fill
from tests.servers.postgres import Base, Postgres, new_base

pytestmark = pytest.mark.e2e

ROUND_S = 6  # what a node says of itself comes every five seconds
PACE, LONGEST_S = 5, 120  # jobs that come due in a second, and for how long
NEVER = timedelta(hours=10)
LAST = "the-last"  # a job without a row: it has one once all jobs were held against the table
WHOLE = re.compile(r"Seq Scan on pgqueuer\b")
# How often the table was read from one end to the other, and how many rows and entries of its indexes were read.
READS = """
SELECT seq_scan, seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes AS one WHERE one.relid = two.relid)
FROM pg_stat_user_tables AS two WHERE schemaname = 'refresher' AND relname = 'pgqueuer'
"""
CLAIM, DUE = "SKIP LOCKED", "AS eta"  # what these statements have in them and no other has


class Said:
    """What a node says to PostgreSQL, each statement with the values of its first time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: dict[str, tuple[object, ...]] = {}
        for way in ("fetch", "execute"):
            monkeypatch.setattr(AsyncpgDriver, way, self._noting(getattr(AsyncpgDriver, way)))

    def _noting(self, way):
        async def noting(driver, statement, *values):
            self.statements.setdefault(statement, values)
            return await way(driver, statement, *values)

        return noting

    async def reading_all(self, base: Base) -> list[str]:
        """Return those that read the whole table, with their plans."""
        connection = await database_of(base, password=object()).connect("test")
        found = []
        for statement, values in self.statements.items():
            plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *values))
            found += [f"{statement}\n{plan}"] if WHOLE.search(plan) else []
        await close(connection)
        return found


async def counts(base: Base) -> tuple[int, int]:
    """Return PostgreSQL's counts of what was read of the table; they come a second late."""
    await asyncio.sleep(1.2)
    scans, rows = map(int, base.sql(READS).split("|"))
    return scans, rows


async def wait_for_a_while(one: Node) -> int:
    """Be a node that waits, and is called now and then; return how often."""
    called = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(ROUND_S):
            while True:
                for name in await one.due():
                    called += 1
                    one.claims.schedule(name, NEVER)
    return called


async def never_whole(base: Base, monkeypatch: pytest.MonkeyPatch, measured, resting: int) -> None:
    await install(base)
    fill(base, resting, PACE * LONGEST_S, LONGEST_S, lead_s=10)
    names = {f"job-{number}": "oauth2" for number in range(resting + PACE * LONGEST_S)} | {LAST: "oauth2"}
    row = f"SELECT count(*) FROM refresher.pgqueuer WHERE dedupe_key = '{LAST}'"  # noqa: S608  # a name of our own
    upkeep = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'refresher upkeep%'"
    said = Said(monkeypatch)
    async with node(base, names, lease=timedelta(seconds=4), poll=timedelta(seconds=1)) as one:
        await until(lambda: base.sql(row) == "1" and base.sql(upkeep) == "0")
        before = await counts(base)
        said.statements.clear()
        called = await wait_for_a_while(one)
        found, count = await said.reading_all(base), len(said.statements)
    scans, rows = (now - then for now, then in zip(await counts(base), before, strict=True))
    measured(
        f"{resting} rows: {count} statements of a node that waits, for {ROUND_S} s and {called} jobs: {len(found)} of"
        f" their plans read the whole table, which happened {scans} times; {rows} rows and entries were read in all"
    )
    for part in (CLAIM, DUE):
        assert [one for one in said.statements if part in one], f"none with {part}"
    assert found == []
    assert scans == 0
    assert rows < resting / 10, "nor is an index read from one end to the other"


@pytest.mark.nightly  # half a minute of both processors; test_engine.py does the same with fewer
async def test_of_a_hundred_thousand_rows(base: Base, monkeypatch: pytest.MonkeyPatch, measured):
    await never_whole(base, monkeypatch, measured, 100_000)


@pytest.mark.nightly
@pytest.mark.timeout(600)
async def test_of_a_million(mortal_postgres: Postgres, monkeypatch: pytest.MonkeyPatch, measured):
    await never_whole(new_base(mortal_postgres), monkeypatch, measured, 1_000_000)
