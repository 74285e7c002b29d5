"""What pgqueuer does out of the box when connections are killed, and what a node does: only one of them keeps its jobs.

The connections are killed while the rows go back into the table, which is the moment that counts.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job

from refresher.scheduler.queue_table import QueueTable, builders
from tests.scheduler.nodes import PATIENCE, install, node, until
from tests.servers.postgres import PASSWORD, ROLE, Base

pytestmark = pytest.mark.e2e

NAMES = [f"job-{number}" for number in range(8)]
JOBS = dict.fromkeys(NAMES, "oauth2")
NEVER = timedelta(hours=1)
GOING_BACK = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query LIKE '%execute_after%'"
)


@asynccontextmanager
async def killed_on_their_way_back(base: Base, least: int) -> AsyncIterator[None]:
    """Lock all rows; what the block sends back waits, and once so many do, every connection of the nodes is killed."""
    locker = await asyncpg.connect(base.owner)
    try:
        async with locker.transaction():
            await locker.execute("SELECT FROM refresher.pgqueuer FOR UPDATE")
            yield
            await until(lambda: int(base.sql(GOING_BACK)) >= least)
            base.sql(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{ROLE}'")  # noqa: S608  # a name of our own
    finally:
        await locker.close()


@asynccontextmanager
async def out_of_the_box(base: Base, go: asyncio.Event) -> AsyncIterator[Callable[[], int]]:
    """Run pgqueuer over a pool; its handler asks for each job again in an hour, once `go` is set. Yield how many."""
    async with asyncpg.create_pool(base.node, password=PASSWORD, min_size=4, max_size=len(NAMES) + 4) as pool:
        environment, queue = builders("refresher")
        manager = QueueManager(
            Queries(AsyncpgPoolDriver(pool), environment, queue), channel=environment.settings.channel
        )
        called: set[str] = set()

        async def handle(job: Job) -> None:
            called.add((job.payload or b"").decode())
            await go.wait()
            raise RetryRequested(NEVER)

        manager.entrypoint("refresh:oauth2")(handle)
        async with pool.acquire() as one:
            await QueueTable("refresher").add(one, JOBS)
        running = asyncio.ensure_future(manager.run(dequeue_timeout=timedelta(seconds=0.3)))
        try:
            yield lambda: len(called)
        finally:
            manager.shutdown.set()
            with suppress(Exception):  # its listener's connection was killed too
                await asyncio.wait_for(running, PATIENCE)


async def test_out_of_the_box_rows_vanish(base: Base, measured):
    """The ablation: what fails on its way back is deleted, as soon as the pool has another connection."""
    await install(base)
    go = asyncio.Event()
    async with out_of_the_box(base, go) as called:
        await until(lambda: called() == len(NAMES))
        async with killed_on_their_way_back(base, least=4):
            go.set()
        await until(lambda: int(base.sql("SELECT count(*) FROM refresher.pgqueuer")) < len(NAMES))
    left = int(base.sql("SELECT count(*) FROM refresher.pgqueuer"))
    measured(f"pgqueuer over a pool, its connections killed: {len(NAMES) - left} of {len(NAMES)} rows deleted")


async def test_a_node_keeps_them(base: Base, measured):
    await install(base)
    async with node(base, JOBS) as one:
        assert sorted(await one.names(len(NAMES))) == NAMES
        async with killed_on_their_way_back(base, least=1):
            for name in NAMES:
                one.claims.schedule(name, NEVER)
        assert sorted(await one.names(len(NAMES))) == NAMES, "each is called again"
        left = base.sql("SELECT count(*) FROM refresher.pgqueuer WHERE status IN ('queued', 'picked')")
        measured(f"a node, its connections killed: {left} of {len(NAMES)} rows left, each called again")
        assert int(left) == len(NAMES)
