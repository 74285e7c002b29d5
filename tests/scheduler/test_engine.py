"""A fleet's engine on a real PostgreSQL, and each of the five additions to pgqueuer taken away once.

What the additions are: docs/adr/0019. An ablation is a test that does without one, and sees what it is good for.
"""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.models import TracebackRecord
from pgqueuer.ports.repository import EntrypointExecutionParameter

from refresher.scheduler import engine as engines
from refresher.scheduler.database import Database, close
from refresher.scheduler.guard import Guard
from refresher.scheduler.queries import FencedQueries
from refresher.scheduler.queue_table import QueueTable, builders
from refresher.scheduler.upkeep import Upkeep
from tests.scheduler.nodes import LEASE, PATIENCE, NoNotes, database_of, install, node, until
from tests.servers.postgres import Base

pytestmark = pytest.mark.e2e

SOON = timedelta(seconds=0.3)
NEVER = timedelta(hours=1)
LONG = timedelta(seconds=30)  # a lease that no busy machine outlasts
JOB = {"crm": "oauth2"}
CANARY = "canary-in-an-exception"


@pytest.fixture
async def fleet(base: Base) -> Base:
    await install(base)
    return base


@asynccontextmanager
async def connection(base: Base):
    one = await database_of(base, password=object()).connect("test")
    try:
        yield one
    finally:
        await close(one)


def rows(base: Base) -> str:
    return base.sql("SELECT dedupe_key || ' ' || status FROM refresher.pgqueuer ORDER BY dedupe_key")


async def test_each_job_has_one_row_and_one_node_at_a_time(fleet: Base):
    jobs = {f"job-{number}": "oauth2" for number in range(30)}
    async with node(fleet, jobs, lease=LONG) as one, node(fleet, jobs, lease=LONG) as two:
        called: list[str] = []

        async def serve(who):
            while True:
                for name in await who.due():
                    called.append(name)
                    await asyncio.sleep(0.01)
                    who.claims.schedule(name, NEVER)

        servers = [asyncio.ensure_future(serve(who)) for who in (one, two)]
        await until(lambda: len(called) >= len(jobs))
        await asyncio.sleep(LEASE.total_seconds() / 4)
        for server in servers:
            server.cancel()
        assert sorted(called) == sorted(jobs)
        await until(lambda: "picked" not in rows(fleet))
    assert len(rows(fleet).splitlines()) == len(jobs)
    assert one.told.names() == two.told.names() == []


async def test_a_delay_is_by_the_clock_of_postgresql(fleet: Base):
    async with node(fleet, JOB) as one:
        assert await one.due() == ("crm",)
        one.claims.schedule("crm", NEVER)
        await until(lambda: "queued" in rows(fleet))
        ahead = fleet.sql("SELECT extract(epoch FROM execute_after - now()) FROM refresher.pgqueuer")
        assert 3580 < float(ahead) <= 3600


async def test_a_job_that_is_paused_for_longer_than_an_integer_s_seconds_goes_back(fleet: Base):
    until_2126 = timedelta(days=36500)
    ahead = "SELECT extract(epoch FROM execute_after - now()) > 3100000000 FROM refresher.pgqueuer"
    async with node(fleet, JOB) as one:
        assert await one.due() == ("crm",)
        one.claims.schedule("crm", until_2126)
        await until(lambda: rows(fleet) == "crm queued")
        assert fleet.sql(ahead) == "t"
        async with connection(fleet) as other:
            await QueueTable("refresher").put_off(other, "crm", SOON)
            assert fleet.sql(ahead) == "f"
            await QueueTable("refresher").put_off(other, "crm", until_2126)
        assert fleet.sql(ahead) == "t"


async def test_what_came_due_first_is_taken_first_whatever_row_is_older(fleet: Base):
    jobs = {f"job-{number:02}": "oauth2" for number in range(12)}
    async with node(fleet, jobs) as one:
        await one.names(len(jobs))
        for number, name in enumerate(sorted(jobs)):
            one.claims.schedule(name, timedelta(minutes=24 - 2 * number))  # the youngest row is due first
        await until(lambda: rows(fleet).count("queued") == len(jobs))
    fleet.sql("UPDATE refresher.pgqueuer SET execute_after = execute_after - interval '1 hour'")
    async with node(fleet, jobs) as two:
        taken = await two.names(len(jobs))
    assert taken == sorted(jobs, reverse=True)


async def test_what_is_urgent_comes_at_once(fleet: Base):
    async with node(fleet, JOB) as one:
        await one.due()
        one.claims.schedule("crm", NEVER)
        await until(lambda: "queued" in rows(fleet))
        assert not one.claims.ours("crm", urgent=True)
        assert await one.due() == ("crm",)


async def test_a_drained_node_gives_back_what_it_has(fleet: Base):
    async with node(fleet, JOB, lease=timedelta(seconds=30)) as two:
        await two.due()
        two.claims.schedule("crm", SOON)
        async with node(fleet, JOB, lease=timedelta(seconds=30)) as one:
            two.engine.stopping()
            assert await one.due() == ("crm",)
        await until(lambda: rows(fleet) == "crm queued")
    assert fleet.sql("SELECT count(*) FROM refresher.refresher_nodes") == "0"


async def test_half_reloaded_nodes_do_not_fight(fleet: Base):
    grace = {"remove_grace": timedelta(seconds=0.1), "reconcile": timedelta(seconds=0.2)}
    both = JOB | {"new": "oauth2"}
    async with node(fleet, JOB, **grace) as old, node(fleet, both, **grace) as new:
        await until(lambda: "new" in rows(fleet))
        for who in (old, new):
            who.claims.wishes.told.set()
        await asyncio.sleep(1)
        for who in (old, new):
            who.claims.wishes.told.set()
        await asyncio.sleep(0.5)
        assert "new" in rows(fleet)
        del new.jobs["new"]

        def gone() -> bool:
            for who in (old, new):
                who.claims.lose(lost=False)  # nobody walks here
                who.claims.wishes.told.set()
            return rows(fleet).split()[0::2] == ["crm"]

        await until(gone)


async def test_no_more_at_once_at_a_provider_than_the_fleet_may(fleet: Base):
    jobs = {f"job-{number}": "semansys" for number in range(12)}
    limit = {"per_provider": {"semansys": 3}, "lease": LONG}
    async with node(fleet, jobs, **limit) as one, node(fleet, jobs, **limit) as two:
        at_once, most, done = 0, 0, []

        async def walk(who, name):
            nonlocal at_once, most
            at_once, most = at_once + 1, max(most, at_once + 1)
            await asyncio.sleep(0.2)
            at_once -= 1
            done.append(name)
            who.claims.schedule(name, NEVER)

        async def serve(who):
            async with asyncio.TaskGroup() as group:
                while True:
                    for name in await who.due():
                        group.create_task(walk(who, name))

        servers = [asyncio.ensure_future(serve(who)) for who in (one, two)]
        await until(lambda: len(done) >= len(jobs))
        for server in servers:
            server.cancel()
        assert most == 3


# --- 1: the partial index


async def plan(one, statement: str) -> str:
    return "\n".join(row[0] for row in await one.fetch(f"EXPLAIN {statement}"))


async def test_with_the_index_nothing_reads_the_whole_table(fleet: Base):
    fleet.sql(
        "INSERT INTO refresher.pgqueuer (priority, entrypoint, payload, dedupe_key, status, execute_after)"
        " SELECT 0, 'refresh:oauth2', convert_to('j' || n, 'UTF8'), 'j' || n, 'queued', now() + n * interval '1 s'"
        " FROM generate_series(100, 60000) AS n"
    )
    fleet.sql("ANALYZE refresher.pgqueuer")
    _, queue = builders("refresher")
    asked = queue.build_next_deferred_eta_query().replace("$1", "'{refresh:oauth2,refresh:semansys,refresh:exec}'")
    async with connection(fleet) as one:
        assert "Seq Scan" not in await plan(one, asked)
        fleet.sql("DROP INDEX refresher.refresher_due")
        assert "Seq Scan" in await plan(one, asked), "the ablation: without it the table is read"


# --- 2: a row goes back by its owner's word alone, and without a traceback


@pytest.mark.parametrize(("kind", "status"), [(FencedQueries, "picked"), (Queries, "queued")])
async def test_a_row_goes_back_by_its_owners_word_alone(fleet: Base, kind, status):
    """The ablation is pgqueuer's own: the row that another node has in hand is put off."""
    async with connection(fleet) as one:
        await QueueTable("refresher").add(one, JOB)
        queries = kind(AsyncpgDriver(one), *builders("refresher"))
        (job,) = await queries.dequeue(
            1, {"refresh:oauth2": EntrypointExecutionParameter(0)}, uuid4(), None, timedelta(seconds=30)
        )
        fleet.sql("UPDATE refresher.pgqueuer SET queue_manager_id = gen_random_uuid()")
        record = TracebackRecord.from_exception(ValueError(CANARY), job.id)
        await queries.retry_job(job, NEVER, record)
        assert rows(fleet) == f"crm {status}"
        kept = fleet.sql("SELECT coalesce(string_agg(traceback::text, ' '), '') FROM refresher.pgqueuer_log")
        assert (CANARY in kept) == (kind is Queries)


# --- 3: a handler that never fails


class Broken(NoNotes):
    async def fetch(self, _connection, job):
        raise ValueError(f"{CANARY} {job}")


async def test_a_handler_that_fails_keeps_the_row(fleet: Base):
    async with node(fleet, JOB, notes=Broken()) as one:
        await until(lambda: any(event.level == "debug" for event in one.told.events))
        assert rows(fleet).startswith("crm ")
    assert rows(fleet) == "crm queued"
    assert CANARY not in fleet.server.dump(fleet.name)
    assert CANARY not in repr(one.told.events)


async def test_one_that_raises_loses_it(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    """The ablation: pgqueuer parks the row, and writes down what was raised."""

    async def attended(*_):
        raise ValueError(CANARY)

    monkeypatch.setattr(engines.Engine, "_attended", attended)
    async with node(fleet, JOB):
        await until(lambda: rows(fleet) == "crm failed")
    assert CANARY in fleet.server.dump(fleet.name)


# --- 4: the guard


async def frozen(fleet: Base, monkeypatch: pytest.MonkeyPatch, one) -> None:
    """Have a node neither say nor take anything more while it has a job, as if it were frozen."""

    async def silent(*_):
        pass

    monkeypatch.setattr(FencedQueries, "update_heartbeat", silent)
    assert await one.due() == ("crm",)
    owner, dequeue = fleet.sql("SELECT queue_manager_id FROM refresher.pgqueuer"), FencedQueries.dequeue

    async def of_others(self, **how):
        return [] if str(how["queue_manager_id"]) == owner else await dequeue(self, **how)

    monkeypatch.setattr(FencedQueries, "dequeue", of_others)
    fleet.sql("UPDATE refresher.pgqueuer SET heartbeat = now() - interval '1 h' WHERE status = 'picked'")


async def test_nobody_walks_what_a_frozen_node_has(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    async with node(fleet, JOB) as one:
        await frozen(fleet, monkeypatch, one)
        async with node(fleet, JOB) as two:
            assert await two.nothing(LEASE.total_seconds() * 2)


async def test_without_the_guard_two_do(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    """The ablation: the row is another's after the lease, and both walk the job."""

    async def take(*_):
        return True

    monkeypatch.setattr(Guard, "take", take)
    async with node(fleet, JOB) as one:
        await frozen(fleet, monkeypatch, one)
        async with node(fleet, JOB) as two:
            assert await two.due() == ("crm",)
            assert one.claims.in_hand == 1


async def test_a_node_that_is_gone_loses_its_locks(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    async with node(fleet, JOB) as one:
        await frozen(fleet, monkeypatch, one)
        async with node(fleet, JOB) as two:
            fleet.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'refresher guard%' AND pid IN"
                " (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
            )
            await until(lambda: one.claims.in_hand == 0)
            waiting = [asyncio.ensure_future(who.due()) for who in (one, two)]  # it comes back, and may be quicker
            done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert [each.result() for each in done] == [("crm",)]
            for each in pending:
                each.cancel()


async def test_the_server_drops_a_session_whose_machine_is_gone(fleet: Base):
    """Soon, whatever was under way; tests/e2e/test_partition.py sees it do so."""
    async with connection(fleet) as one:
        idle, interval, count, unsent = [
            int(await one.fetchval("SELECT setting FROM pg_settings WHERE name = $1", name))
            for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
        ]
    assert idle + interval * count == unsent / 1000 == 14


# --- 5: reconcile


async def lost_row(fleet: Base, one) -> None:
    await one.due()
    one.claims.schedule("crm", NEVER)
    await until(lambda: rows(fleet) == "crm queued")
    fleet.sql("DELETE FROM refresher.pgqueuer")
    one.claims.wishes.told.set()


async def test_a_row_that_is_lost_is_made_again(fleet: Base):
    async with node(fleet, JOB, reconcile=timedelta(seconds=0.1)) as one:
        await lost_row(fleet, one)
        one.claims.wishes.told.set()
        assert await one.due() == ("crm",)


async def test_a_slow_one_ends_nothing(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    """A million jobs take a busy server longer than any statement that somebody waits for may take."""
    monkeypatch.setitem(Database.connect.__kwdefaults__, "command_s", 4.0)
    unknown, done = QueueTable.unknown, asyncio.Event()

    async def slow(table, connection, jobs):
        await connection.execute("SELECT pg_sleep(6)")
        done.set()
        return await unknown(table, connection, jobs)

    monkeypatch.setattr(QueueTable, "unknown", slow)
    async with node(fleet, JOB) as one:
        await one.due()
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert one.told.names() == []


async def test_without_reconcile_it_stays_lost(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    """The ablation."""
    async with node(fleet, JOB, reconcile=timedelta(seconds=0.1)) as one:
        await one.due()

        async def reconcile(*_):
            pass

        monkeypatch.setattr(Upkeep, "reconcile", reconcile)
        one.claims.schedule("crm", NEVER)
        await until(lambda: rows(fleet) == "crm queued")
        fleet.sql("DELETE FROM refresher.pgqueuer")
        one.claims.wishes.told.set()
        assert await one.nothing(1.5)


# --- PostgreSQL away


async def test_away_what_is_harmless_goes_on_and_the_rest_waits(base: Base, mortal_postgres):
    del base
    from tests.servers.postgres import new_base  # noqa: PLC0415  # of a server of its own

    own = new_base(mortal_postgres)
    await install(own)
    jobs = {"harmless": "oauth2", "single-use": "oauth2"}
    async with node(own, jobs, harmless=lambda name: name == "harmless") as one:
        for name in await one.names(2):
            one.claims.schedule(name, timedelta(seconds=1))
        mortal_postgres.stop()
        assert await one.due() == ("harmless",)
        await until(lambda: "scheduler_away" in one.told.names())
        one.claims.schedule("harmless", SOON)
        assert await one.due() == ("harmless",), "and again"
        alarm = [event for event in one.told.events if event.level == "error"]
        assert [(event.fields["jobs"], event.fields["waiting"]) for event in alarm] == [(1, 1)]
        mortal_postgres.start()
        one.claims.schedule("harmless", NEVER)
        assert sorted(await one.names(2)) == ["harmless", "single-use"], "the table rules again"
        assert one.told.names()[-1] == "scheduler_back"
