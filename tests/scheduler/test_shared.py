"""What a fleet remembers together: one node's refusal is another's, and the history is everybody's."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from refresher.core.facts import Trouble
from refresher.core.orders import Orders
from refresher.host.clock import SystemClock
from refresher.memory import Memory
from refresher.scheduler.database import close
from refresher.scheduler.news import START
from refresher.state import shared
from refresher.state.shared import SharedLedger, history
from tests.core.builders import NOW
from tests.fakes.ledger import FakeLedger
from tests.rotation.house import job
from tests.scheduler.nodes import Told, database_of, install
from tests.servers.postgres import Base
from tests.state.test_ledger import ENDED, KEPT

pytestmark = pytest.mark.e2e


class Local(FakeLedger):
    """The ledger of one node."""

    warning, dropped = "", 0

    def close(self):
        pass


@pytest.fixture
async def connection(base: Base):
    await install(base)
    one = await database_of(base, password=object()).connect("test")
    yield one
    await close(one)


async def test_what_one_node_notes_another_recalls(connection):
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    one.note(ENDED, NOW, KEPT)
    await two.fetch(connection, "crm")
    assert two.recall("crm") is None, "not told yet"
    await one.tell(connection, ("crm", "other"))
    assert two.recall("crm") is None, "not fetched yet"
    await two.fetch(connection, "crm")
    assert two.recall("crm") == KEPT
    assert two.recall("crm") is None, "once"


async def test_what_is_not_told_yet_is_newer(connection):
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    one.note(ENDED, NOW, KEPT)
    await one.tell(connection)
    newer = replace(KEPT, refused="another")
    two.note(ENDED, NOW, newer)
    await two.fetch(connection, "crm")
    assert two.recall("crm") == newer
    await two.tell(connection)
    await one.fetch(connection, "crm")
    assert one.recall("crm") == newer


async def test_what_a_node_noted_whose_clock_is_ahead_was_done_before_it_told(connection):
    """Else the others would keep the pause between two fetches from when it is by their clocks, or from now on."""
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    now, ahead = SystemClock().now(), timedelta(minutes=10)
    attempted = replace(KEPT.attempted, at=now + ahead)
    one.note(ENDED, now + ahead, replace(KEPT, attempted=attempted, fetched_at=now + ahead - timedelta(seconds=1)))
    await one.tell(connection)
    await connection.execute("UPDATE refresher.refresher_jobs SET updated = now() - interval '20 s'")
    await two.fetch(connection, "crm")
    kept = two.recall("crm")
    assert abs(kept.attempted.at - now + timedelta(seconds=20)) < timedelta(seconds=5)
    assert kept.attempted.at - kept.fetched_at == timedelta(seconds=1)


@pytest.mark.parametrize("by", ["a walk", "a look"])
async def test_a_job_that_is_renamed_goes_on_with_what_the_fleet_kept_of_it(connection, by):
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    latch = Trouble(kind="permanent", error="invalid_grant", count=1, since=NOW, retry_at=None, credential="abc")
    kept = replace(KEPT, latch=latch, orders=Orders(paused_until=NOW + timedelta(days=1)))
    one.note(ENDED, NOW, KEPT)
    one.keep("crm", kept)
    one.note(ENDED, NOW, kept)
    await one.tell(connection)
    memory = Memory(two, Told(), SystemClock(), shared=True)  # it starts with the new jobs.toml
    charge = memory.charge(job("sales", moved_from="crm"))
    if by == "a walk":
        await two.fetch(connection, "sales")
        memory.renew(charge, SimpleNamespace(shared=True))
        assert (charge.latch, charge.orders) == (kept.latch, kept.orders)
    else:
        (news,) = await two.news_of(connection, "sales")
        assert (news.kept.latch, news.kept.orders) == (kept.latch, kept.orders)
    assert len(await history(connection, "refresher", "sales", None)) == 2
    assert await two.news_of(connection, "crm") == []


async def test_what_the_fleet_keeps_under_the_new_name_is_newer_than_what_it_kept_under_the_old(connection):
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    newer = replace(KEPT, refused="another")
    one.note(ENDED, NOW, KEPT)
    one.note(replace(ENDED, job="sales"), NOW, newer)
    await one.tell(connection)
    two.rename("crm", "sales")
    await two.fetch(connection, "sales")
    assert two.fetched("sales") == newer


async def test_the_history_is_of_all(connection):
    for number, holder in enumerate(("one", "two", "one")):
        book = SharedLedger(Local(), "refresher", holder, SystemClock())
        book.note(ENDED, NOW + timedelta(minutes=number), KEPT)
        book.note(replace(ENDED, outcome="fresh"), NOW, KEPT)
        await book.tell(connection)
        await book.tell(connection)
    known = await history(connection, "refresher", None, None)
    assert [one.at for one in known] == [(NOW + timedelta(minutes=number)).timestamp() for number in range(3)]
    assert len(await history(connection, "refresher", "crm", NOW + timedelta(seconds=1))) == 2
    assert await history(connection, "refresher", "other", None) == []
    await book.prune(connection)


async def test_a_walk_that_was_under_way_does_not_write_over_what_a_person_has_decided(connection):
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    one.note(ENDED, NOW, KEPT)
    await one.tell(connection)
    paused = Orders(paused_until=NOW + timedelta(hours=1))
    two.keep("crm", replace(KEPT, refused="stale", orders=paused))
    await two.tell(connection)
    one.note(ENDED, NOW, KEPT)
    await one.tell(connection)
    await one.fetch(connection, "crm")
    assert one.recall("crm") == replace(KEPT, orders=paused), "and no order writes over what a walk left"


async def test_what_was_told_is_heard_page_by_page(connection, monkeypatch):
    monkeypatch.setattr(shared, "PAGE", 2)
    one, two = (SharedLedger(Local(), "refresher", holder, SystemClock()) for holder in ("one", "two"))
    for number in range(5):
        one.note(replace(ENDED, job=f"job-{number}"), NOW, KEPT)
    await one.tell(connection)
    two.note(replace(ENDED, job="job-3"), NOW, KEPT)
    found, cursor = [], (START, "")
    while cursor is not None:
        some, cursor = await two.news(connection, cursor)
        assert len(some) <= 2
        found += some
    assert sorted(news.job for news in found) == ["job-0", "job-1", "job-2", "job-4"], "its own is newer"
    assert {(news.holder, news.kept) for news in found} == {("one", KEPT)}


async def test_the_page_s_timelines_are_of_all_nodes(connection):
    for number, holder in enumerate(("one", "two", "one")):
        book = SharedLedger(Local(), "refresher", holder, SystemClock())
        book.note(replace(ENDED, outcome="rotated"), NOW + timedelta(hours=number), KEPT)
        await book.tell(connection)
    found = await book.tried(connection, ["crm", "other"], NOW + timedelta(minutes=90))
    assert [attempt.at for attempt in found["crm"]] == [NOW + timedelta(hours=number) for number in (1, 2)]
    assert found.keys() == {"crm"}
    assert len(await book.history(connection, "crm", NOW)) == 3


async def test_two_who_tell_at_once_tell_each_attempt_once(base: Base):
    await install(base)
    connections = [await database_of(base, password=object()).connect("test") for _ in range(2)]
    book = SharedLedger(Local(), "refresher", "one", SystemClock())
    for number in range(20):
        book.note(ENDED, NOW + timedelta(minutes=number), KEPT)
    await asyncio.gather(*(book.tell(one, ("crm",)) for one in connections))
    assert len(await history(connections[0], "refresher", None, None)) == 20
    for one in connections:
        await close(one)
