"""A person's deed on a node that does not have the job, and what the nodes hear of each other, on a real PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from refresher.core.errors import ElsewhereError
from refresher.core.remembered import News, Remembered
from refresher.host.clock import SystemClock
from refresher.scheduler import hands
from refresher.scheduler.database import close
from refresher.scheduler.news import START, Tidings, names_of
from tests.scheduler.nodes import NoNotes, database_of, install, node, until
from tests.scheduler.test_engine import rows
from tests.servers.postgres import Base, new_base

pytestmark = pytest.mark.e2e
JOB = {"crm": "oauth2"}
NEVER = timedelta(hours=1)


@pytest.fixture
async def fleet(base: Base) -> Base:
    await install(base)
    return base


async def rested(fleet: Base, one) -> None:
    """Have the job called once, and put off for long."""
    assert await one.due() == ("crm",)
    one.claims.schedule("crm", NEVER)
    await until(lambda: rows(fleet) == "crm queued")


def seconds_ahead(fleet: Base) -> float:
    return float(fleet.sql("SELECT extract(epoch FROM execute_after - now()) FROM refresher.pgqueuer"))


async def test_a_job_comes_into_hand_and_goes_back_when_it_is_due(fleet: Base):
    async with node(fleet, JOB) as one:
        await rested(fleet, one)
        async with node(fleet, JOB) as two:
            await until(lambda: two.engine.hands.there)
            two.claims.questions = replaced(two, busy=False)
            async with two.engine.hands.hold("crm") as may:
                assert may
                assert two.claims.ours("crm")
                two.claims.schedule("crm", 2 * NEVER)
                assert two.claims.has("crm"), "in hand until the deed is over"
            assert not two.claims.has("crm")
            assert seconds_ahead(fleet) > 1.9 * 3600
            async with two.engine.hands.hold("crm"):
                fleet.sql("UPDATE refresher.pgqueuer SET execute_after = now()")
                assert await one.nothing(1.5), "whoever is called finds it in another's hands"


def replaced(who, *, busy: bool):
    return replace(who.claims.questions, busy=lambda _: busy)


async def test_who_has_it_is_named_and_a_node_s_own_is_not_taken_twice(fleet: Base, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hands, "WAIT_S", 0.5)
    async with node(fleet, JOB) as one:
        assert await one.due() == ("crm",)
        async with one.engine.hands.hold("crm") as may:
            assert may, "it has it in hand already"
        async with node(fleet, {}) as two:
            two.jobs["crm"] = "oauth2"
            await until(lambda: two.engine.hands.there)
            with pytest.raises(ElsewhereError, match=r"^test$"):
                async with two.engine.hands.hold("crm"):
                    pytest.fail("two nodes have it")
            one.claims.schedule("crm", NEVER)
            await until(lambda: rows(fleet) == "crm queued")


async def test_what_is_walked_stays_in_hand_although_who_asked_is_gone(fleet: Base):
    async with node(fleet, JOB) as one:
        await rested(fleet, one)
        entered = asyncio.Event()

        async def impatient() -> None:
            async with one.engine.hands.hold("crm"):
                entered.set()
                await asyncio.Event().wait()

        asking = asyncio.ensure_future(impatient())
        await entered.wait()
        asking.cancel()
        await asyncio.wait([asking])
        assert one.claims.has("crm"), "its walk is under way: every job of this node is busy"
        one.claims.schedule("crm", 2 * NEVER)
        await until(lambda: not one.claims.has("crm"))
        await until(lambda: seconds_ahead(fleet) > 1.9 * 3600)


async def test_a_node_that_has_just_started_is_waited_for(fleet: Base):
    async with node(fleet, JOB, harmless=lambda _: False) as one:
        assert not one.engine.hands.there
        one.claims.questions = replaced(one, busy=False)
        async with one.engine.hands.hold("crm") as may:
            assert may, "it is not known to be away"
            one.claims.schedule("crm", NEVER)


async def test_a_node_that_starts_while_postgresql_is_away_says_so_at_once(mortal_postgres, monkeypatch):
    monkeypatch.setattr(hands, "WAIT_S", 3600)
    own = new_base(mortal_postgres)
    await install(own)
    mortal_postgres.stop()
    async with node(own, JOB, harmless=lambda _: False) as one, one.engine.hands.hold("crm") as may:
        assert not may


async def test_while_postgresql_is_away_only_what_is_harmless_may_be_asked_for(mortal_postgres):
    own = new_base(mortal_postgres)
    await install(own)
    async with node(own, JOB, harmless=lambda name: name == "crm") as one:
        await rested(own, one)
        async with one.engine.hands.hold("crm"):
            mortal_postgres.stop()
            await until(lambda: not one.engine.hands.there)
            assert not one.claims.has("crm"), "it may be another's by now"
        async with one.engine.hands.hold("crm") as may:
            assert may
        async with one.engine.hands.hold("single-use") as may:
            assert not may
        assert not await one.engine.hands.tell("crm")


class Book(NoNotes):
    """What was told: `pages` of news."""

    def __init__(self, *pages) -> None:
        self.pages = list(pages)

    async def news(self, _connection, _after):
        return self.pages.pop(0) if self.pages else ([], None)

    async def news_of(self, _connection, job):
        return [News(job=job, kept=Remembered(), holder="node", at=START)]


async def test_each_is_heard_once_and_what_nobody_took_up_again(fleet: Base):
    at = START + timedelta(days=1)
    news = [News(job=name, kept=Remembered(), holder="gone", at=at) for name in ("crm", "erp")]
    book = Book((news, (at, "erp")), ([], None), (news, (at, "erp")), ([], None))
    heard: list[tuple[str, str]] = []
    busy = ["erp"]

    def hear(one: News, name: str) -> bool:
        heard.append((one.job, name))
        return one.job not in busy

    tidings = Tidings(database_of(fleet), told=book, clock=SystemClock(), hear=hear, mark=lambda *_: None)
    assert tidings.view().away, "nobody was asked yet"
    connection = await database_of(fleet, password=object()).connect("test")
    await tidings.hear(connection)
    busy.clear()
    await tidings.hear(connection)
    await close(connection)
    assert heard == [("crm", "gone"), ("erp", "gone"), ("erp", "gone")]
    assert not tidings.view().away


def test_a_node_is_called_by_its_host_and_where_a_host_has_several_by_its_id():
    nodes = [SimpleNamespace(holder=holder, host=host) for holder, host in (("aaaaaaaa", "a"), ("bbbbbbbb", "b"))]
    assert names_of(nodes) == {"aaaaaaaa": "a", "bbbbbbbb": "b"}
    nodes.append(SimpleNamespace(holder="cccccccc", host="b"))
    assert names_of(nodes) == {"aaaaaaaa": "a", "bbbbbbbb": "b/bbbbbb", "cccccccc": "b/cccccc"}
