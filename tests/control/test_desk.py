"""What a person has the daemon do goes the way of every rotation, is held to a cooldown, and is told of."""

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from refresher.control.desk import MOST_FAILED, Desk
from refresher.core.errors import ElsewhereError
from refresher.core.model import Rejected, Token
from refresher.core.orders import COOLDOWN
from refresher.core.perishable import Perishable
from refresher.core.secret import Secret
from refresher.core.view import FleetView
from refresher.handback import Handback
from refresher.host.sockets import Caller
from tests.fakes.clock import settle
from tests.fakes.http import answer
from tests.fakes.ledger import FakeLedger
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, many, path_of
from tests.rotation.stage import IDENTITY

ME = Caller(pid=7, uid=1000)


class Hands:
    """The way to the other nodes. `holder`: who has every job in hand. `may`: a rotation may be asked for."""

    def __init__(self) -> None:
        self.holder, self.may, self.there, self.heard = "", True, True, []

    @asynccontextmanager
    async def hold(self, name):
        if self.holder:
            raise ElsewhereError(self.holder)
        self.heard.append(("hold", name))
        yield self.may

    async def know(self, name):
        self.heard.append(("know", name))
        return self.there

    async def tell(self, name, *, due=False):
        self.heard.append(("due" if due else "tell", name))
        return self.there

    def view(self):
        return FleetView(alive=("host-1",), gone=("host-2",))


def desk_of(house: House, logins: Mapping[str, Perishable] | None = None, hands: Hands | None = None) -> Desk:
    handback, holder = Handback(stores=house.stores, clock=house.clock, identity=IDENTITY), IDENTITY.holder
    how = {"handback": handback, "clock": house.clock, "sink": house.sink, "holder": holder}
    return Desk(house.roster, **how, logins=logins, hands=hands)


class Office:
    """A house with a desk; `said` is what it answered."""

    def __init__(self, house: House) -> None:
        self.house, self.desk, self.said = house, desk_of(house), []

    async def rotate(self, *names: str) -> list[tuple[str, str]]:
        return await self.when_done(self.desk.rotate(names, ME, self.said.append))

    async def once(self, *names: str, force: bool = False) -> list[tuple[str, str]]:
        return await self.when_done(self.desk.once(names, ME, self.said.append, force=force))

    async def when_done(self, deed) -> list[tuple[str, str]]:
        """Let time pass until it is done; return what was said meanwhile."""
        before = len(self.said)
        doing = asyncio.ensure_future(deed)
        await settle()
        while not doing.done():
            await self.house.clock.advance(SECOND)
        answer = doing.result()
        self.said += [] if answer is None else [answer]
        return [(one.job, one.reason) for one in self.said[before:]]

    @property
    def audit(self) -> list[tuple[str, str, object]]:
        told = self.house.sink.named("asked")
        assert {(one.fields["uid"], one.fields["pid"]) for one in told} <= {(1000, 7)}
        return [(one.fields["verb"], one.job, one.fields.get("error")) for one in told]


@asynccontextmanager
async def office(*jobs, **how):
    house = House(*jobs, **how)
    house.ledger = FakeLedger()
    async with house.serving():
        await house.advance(MINUTE)
        yield Office(house)


async def test_a_job_is_rotated_at_once_and_again_only_after_its_cooldown():
    async with office(job("crm")) as one:
        assert await one.rotate("crm") == [("crm", "forced")]
        assert one.house.asked("crm") == 2
        await one.house.advance(30 * SECOND)
        assert await one.rotate("crm") == [("crm", "cooldown")]
        wait = one.said[-1].retry_after
        assert 80 < wait <= COOLDOWN.total_seconds() - 30
        assert one.house.asked("crm") == 2, "nobody hammers a provider through it"
        await one.house.advance(timedelta(seconds=wait))
        assert await one.rotate("crm") == [("crm", "forced")]
        assert one.audit == [("rotate", "crm", None), ("rotate", "crm", "cooldown"), ("rotate", "crm", None)]


async def test_the_cooldown_counts_after_a_restart_and_for_once_by_force():
    async with office(job("crm")) as one:
        await one.rotate("crm")
        assert await one.once("crm", force=True) == [("crm", "cooldown")]
        heir = one.house.heir()
    async with heir.serving():
        await heir.advance(SECOND)
        assert await Office(heir).rotate("crm") == [("crm", "cooldown")]


async def test_many_are_rotated_one_after_the_other():
    async with office(*many(5)) as one:
        began = one.house.clock.monotonic()
        assert [reason for _, reason in await one.rotate(*one.house.jobs)] == ["forced"] * 5
        assert one.house.clock.monotonic() - began >= 4, "one a second"


async def test_a_provider_that_fails_is_not_asked_for_the_rest():
    async with office(*many(6)) as one:
        one.house.provider.refuse = lambda _asked: answer(503)
        await one.rotate(*one.house.jobs)
        assert [ended.outcome for ended in one.said] == ["rejected_transient"] * MOST_FAILED


async def test_once_says_how_each_stands_and_asks_nobody_without_need():
    async with office(*many(3)) as one:
        assert await one.once(*one.house.jobs) == [(name, "due") for name in one.house.jobs]
        assert {ended.outcome for ended in one.said} == {"fresh"}
        assert {one.house.asked(name) for name in one.house.jobs} == {1}
        assert one.audit == [], "nothing was asked that would not have been done"


async def test_a_paused_job_waits_and_goes_on_by_itself():
    async with office(job("crm"), lifetime=600) as one:
        until = one.house.clock.now() + HOUR
        await one.desk.pause("crm", until, ME)
        assert one.house.state("crm") == "paused"
        assert await one.rotate("crm") == [("crm", "paused")]
        await one.house.advance(HOUR - MINUTE)
        assert one.house.asked("crm") == 1
        assert "expired" in [event.name for event in one.house.sink.events], "readers' loss is told all the same"
        await one.house.advance(2 * MINUTE)
        assert (one.house.asked("crm"), one.house.state("crm")) == (2, "fresh")


async def test_a_pause_counts_after_a_restart_and_a_person_may_end_it():
    async with office(job("crm")) as one:
        await one.desk.pause("crm", one.house.clock.now() + 10 * HOUR, ME)
        heir = one.house.heir()
    async with heir.serving():
        await heir.advance(3 * HOUR)
        assert (heir.asked("crm"), heir.state("crm")) == (1, "paused")
        assert (await Office(heir).desk.resume("crm", ME))["status"]["state"] == "due"
        await settle()
        assert (heir.asked("crm"), heir.state("crm")) == (2, "fresh")


async def test_in_a_fleet_a_job_comes_into_our_hands_first_and_orders_are_told_to_all():
    async with office(job("crm")) as one:
        hands = Hands()
        one.desk = desk_of(one.house, hands=hands)
        assert await one.rotate("crm") == [("crm", "forced")]
        assert await one.once("crm") == [("crm", "due")]
        until = one.house.clock.now() + HOUR
        assert (await one.desk.pause("crm", until, ME))["told"] is True
        hands.there = False
        assert (await one.desk.resume("crm", ME))["told"] is False
        assert hands.heard == [
            ("hold", "crm"),
            ("hold", "crm"),
            *[(what, "crm") for what in ("know", "tell", "know", "due")],
        ]
        assert one.desk.fleet()[0]["words"] == "1 of 2 nodes: host-2 is gone"


async def test_what_another_node_has_in_hand_is_declined_by_its_name():
    async with office(job("crm")) as one:
        hands = Hands()
        one.desk, hands.holder = desk_of(one.house, hands=hands), "host-2"
        assert await one.rotate("crm") == [("crm", "elsewhere")]
        assert one.said[-1].node == "host-2"
        ended = await one.desk.release("crm", ME)
        assert (ended.reason, ended.node) == ("elsewhere", "host-2")
        assert one.house.roster.charges["crm"].orders.released, "left alone it is all the same"
        assert one.house.asked("crm") == 1


async def test_while_postgresql_is_away_nobody_is_asked_but_a_token_by_hand_is_written():
    async with office(job("crm")) as one:
        hands = Hands()
        one.desk, hands.may, hands.there = desk_of(one.house, hands=hands), False, False
        assert await one.rotate("crm") == [("crm", "scheduler_away")]
        assert one.house.asked("crm") == 1
        brought = Token(access_token=Secret("by-hand"), issued_at=one.house.clock.now(), expires_in=60)
        assert await one.when_done(one.desk.put("crm", lambda: brought, ME)) == [("crm", "put")]


async def test_a_pause_that_comes_during_a_reload_and_a_walk_stands():
    async with office(job("crm")) as one:
        one.house.provider.latency = 10 * SECOND
        walking = asyncio.ensure_future(one.desk.rotate(["crm"], ME, one.said.append))
        await settle()
        one.house.update(job("crm", scope=("more",)))
        await one.desk.pause("crm", one.house.clock.now() + HOUR, ME)
        await one.house.advance(2 * MINUTE)
        assert walking.done()
        assert one.house.roster.charges["crm"].orders.paused_until is not None
        assert one.house.ledger.recall("crm").orders.paused_until is not None


async def test_a_path_is_handed_back_with_what_readers_find():
    async with office(job("crm", adopt=True)) as one:
        token = one.house.token("crm")
        assert await one.when_done(one.desk.release("crm", ME)) == [("crm", "released")]
        stands = one.house.store.stands(path_of("crm"))
        assert stands["access_token"] == token
        assert not stands.keys() & {"job", "managed_by"}
        assert one.house.state("crm") == "unmanaged"
        await one.house.advance(5 * HOUR)
        assert one.house.asked("crm") == 1, "left alone, though the job may adopt what it finds"
        assert one.house.store.stands(path_of("crm")) == stands
        heir = one.house.heir()
    async with heir.serving():
        await heir.advance(HOUR)
        assert (heir.asked("crm"), heir.state("crm")) == (1, "unmanaged")
        await Office(heir).desk.resume("crm", ME)
        await settle()
        assert heir.state("crm") == "fresh", "adopted again"


async def test_what_somebody_else_put_there_is_not_touched_by_a_release():
    async with office(job("crm")) as one:
        one.house.store.put(path_of("crm"), {"password": "theirs"})
        await one.when_done(one.desk.release("crm", ME))
        assert one.house.store.stands(path_of("crm")) == {"password": "theirs"}


async def test_a_release_that_vault_does_not_take_leaves_the_job_alone_all_the_same():
    async with office(job("crm")) as one:
        one.house.store.away = True
        assert await one.when_done(one.desk.release("crm", ME)) == [("crm", "released")]
        assert (one.said[-1].outcome, one.said[-1].error, one.said[-1].store_down) == (
            "store_failed",
            "transport",
            True,
        )
        one.house.store.away = False
        await one.when_done(one.desk.release("crm", ME))
        assert (one.said[-1].outcome, one.house.state("crm")) == ("halted", "unmanaged")


def brought(house: House, text: str = "by-hand", lifetime: int | None = 1800):
    return lambda: Token(access_token=Secret(text), issued_at=house.clock.now(), expires_in=lifetime)


async def test_a_token_by_hand_serves_until_its_own_end():
    async with office(job("crm"), lifetime=600) as one:
        assert await one.when_done(one.desk.put("crm", brought(one.house), ME)) == [("crm", "put")]
        assert one.house.token("crm") == "by-hand"
        await one.house.advance(15 * MINUTE)
        assert one.house.asked("crm") == 1
        await one.house.advance(15 * MINUTE)
        assert one.house.token("crm") != "by-hand"
        assert "by-hand" not in one.house.sink.text()


async def test_a_token_by_hand_opens_no_latch():
    async with office(job("crm")) as one:
        one.house.provider.refuse = lambda _asked: answer(401, {"error": "invalid_client"})
        await one.rotate("crm")
        latch = one.house.roster.charges["crm"].latch
        assert latch is not None
        await one.when_done(one.desk.put("crm", brought(one.house), ME))
        assert one.house.roster.charges["crm"].latch == latch, "what the provider said last still stands"
        assert one.house.token("crm") == "by-hand"


@pytest.mark.parametrize("why", ["unmanaged", "access_token"])
async def test_a_token_that_is_none_and_a_path_that_is_not_ours_are_declined(why):
    async with office(job("crm")) as one:
        judge = brought(one.house)
        if why == "unmanaged":
            await one.when_done(one.desk.release("crm", ME))
        else:
            judge = lambda: Rejected(kind="malformed", error="access_token")  # noqa: E731  # one word of it
        assert await one.when_done(one.desk.put("crm", judge, ME)) == [("crm", why)]
        assert one.house.token("crm") != "by-hand"
        assert one.audit[-1] == ("put", "crm", why)


async def test_while_vault_is_away_nobody_waits_for_it():
    async with office(job("crm")) as one:
        one.house.store.away = True
        await one.rotate("crm")
        await one.once("crm")
        assert {(ended.outcome, ended.store_down) for ended in one.said} == {("store_failed", True)}
        one.house.store.away = False
        await one.house.advance(5 * MINUTE)
        assert one.house.state("crm") == "fresh"
        assert await one.rotate("crm") == [("crm", "forced")], "what nobody was asked for costs no cooldown"


async def test_an_order_that_comes_within_the_moment_of_a_decision_is_told_its_own_end():
    async with office(job("crm")) as one:
        one.house.store.away = True
        await one.rotate("crm")
        one.house.roster.charges["crm"].now(one.house.clock)
        await one.house.clock.advance(timedelta(microseconds=500))
        await one.once("crm", force=True)
        assert (one.said[-1].outcome, one.said[-1].store_down) == ("store_failed", True)


async def test_rows_and_plans_are_those_of_the_verbs():
    async with office(*many(120)) as one:
        rows, plans = await one.desk.jobs(), await one.desk.plan(24 * HOUR)
        assert [row["status"]["job"] for row in rows] == [plan["job"] for plan in plans] == list(one.house.jobs)
        assert {row["lifetime_s"] for row in rows} == {3600}
