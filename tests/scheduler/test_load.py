"""How a fleet's table bears a crowd: how late jobs are called, and what that costs PostgreSQL. It prints figures."""

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.scheduler.nodes import install, node
from tests.servers.postgres import Base, Postgres, new_base

pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.timeout(600)]
NEVER = timedelta(hours=10)
LEAD_S = 20
CROWDS = [(100_000, 50, 1.0, 0.2), (1_000_000, 100, 2.0, 0.5)]


def fill(base: Base, resting: int, due: int, seconds: int, *, lead_s: int = LEAD_S) -> None:
    """Put jobs in the table that rest for an hour and more, and some that come due evenly after `lead_s`."""
    base.sql(
        "INSERT INTO refresher.pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)"  # noqa: S608  # nothing of it is from outside
        " SELECT 0, 'refresh:oauth2', convert_to('job-' || n, 'UTF8'), 'job-' || n, 'queued', now() + CASE"
        f" WHEN n < {due} THEN interval '{lead_s} s' + n * interval '1 s' * {seconds} / {due}"
        f" ELSE interval '1 h' + n * interval '10 ms' END FROM generate_series(0, {resting + due - 1}) AS n"
    )
    base.sql("VACUUM ANALYZE refresher.pgqueuer")


def cpu_s(server: Postgres) -> float:
    """Return the CPU time of the server and all its children, those that ended too, in seconds."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if server.process.pid in (int(stat.parent.name), int(words[1])):
            ticks += sum(map(int, words[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(("resting", "pace", "late_s", "cores"), CROWDS)
async def test_a_crowd(mortal_postgres: Postgres, measured, resting: int, pace: int, late_s: float, cores: float):
    base, seconds = new_base(mortal_postgres), 20
    await install(base)
    names = {f"job-{number}": "oauth2" for number in range(resting + pace * seconds)}
    fill(base, resting, pace * seconds, seconds)
    began = float(base.sql("SELECT extract(epoch FROM min(execute_after)) FROM refresher.pgqueuer"))
    late: list[float] = []
    async with node(base, names, lease=timedelta(seconds=30), poll=timedelta(seconds=2)) as one:
        before, since = None, 0.0
        while len(late) < pace * seconds:
            for name in await one.due():
                if before is None:
                    before, since = cpu_s(mortal_postgres), time.monotonic()
                late.append(time.time() - began - int(name.removeprefix("job-")) / pace)
                one.claims.schedule(name, NEVER)
        await asyncio.sleep(1)
        load = (cpu_s(mortal_postgres) - before) / (time.monotonic() - since)
    late.sort()
    median, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
    measured(
        f"{resting} rows, {pace} due a second for {seconds} s: late {median * 1000:.0f} ms (median),"
        f" {p99 * 1000:.0f} ms (p99); PostgreSQL {load:.2f} core"
    )
    assert p99 < late_s
    assert load < cores
