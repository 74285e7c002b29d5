"""What a node of a fleet has in hand: no database is here, only who is called, and what is given back."""

import asyncio
from datetime import timedelta

import pytest

from refresher.host.clock import SystemClock
from refresher.scheduler.claims import AGAIN, HALTED, Claims, Questions

DELAY = timedelta(seconds=7)
SOON = timedelta(milliseconds=20)
PATIENCE = 10


class Roster:
    """Answers the engine's questions."""

    def __init__(self) -> None:
        self.known = {"crm", "bank"}
        self.busy: set[str] = set()
        self.walks: set[str] = set()
        self.harmless = {"crm"}

    def questions(self) -> Questions:
        return Questions(
            knows=lambda name: name in self.known,
            busy=lambda name: name in self.busy,
            walks=lambda name: name in self.walks,
            harmless=lambda name: name in self.harmless,
        )


@pytest.fixture
def roster() -> Roster:
    return Roster()


@pytest.fixture
async def claims(roster: Roster):
    made = Claims(SystemClock(), roster.questions())
    listening = asyncio.ensure_future(made.listen_alone())
    yield made
    listening.cancel()
    made.close()


async def due(claims: Claims) -> tuple[str, ...]:
    return await asyncio.wait_for(claims.due(), PATIENCE)


async def test_a_claim_is_called_walked_and_given_back(claims: Claims):
    over = claims.take("crm", lambda: True)
    assert not claims.ours("crm")
    assert await due(claims) == ("crm",)
    assert claims.ours("crm")
    claims.schedule("crm", DELAY)
    assert over.result() == DELAY
    assert not claims.ours("crm")


async def test_a_sweep_before_the_call_gives_nothing_back(claims: Claims):
    """What is known of a job by then is from before: another node may have walked it."""
    over = claims.take("crm", lambda: True)
    claims.schedule("crm", DELAY)
    claims.cancel("crm")
    assert await due(claims) == ("crm",)
    assert not over.done()


async def test_a_halted_job_is_looked_at_again_all_the_same(claims: Claims):
    over = claims.take("crm", lambda: True)
    await due(claims)
    claims.cancel("crm")
    assert over.result() == HALTED


async def test_what_is_not_in_hand_is_nobodys_to_give(claims: Claims):
    claims.schedule("crm", timedelta())
    claims.cancel("crm")
    assert not claims.ours("crm")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(claims.due(), 0.05)


async def test_the_table_is_told_what_is_urgent(claims: Claims):
    assert not claims.ours("crm", urgent=True)
    assert claims.wishes.urgent == {"crm"}
    assert claims.wishes.told.is_set()


@pytest.mark.parametrize("busy", [True, False])
async def test_what_nobody_walks_is_given_back(claims: Claims, roster: Roster, monkeypatch, *, busy: bool):
    """Vault is away: the job waits for it in the roster, and another node's Vault may be there."""
    monkeypatch.setattr("refresher.scheduler.claims.IDLE_S", 0)
    roster.busy |= {"crm"} if busy else set()
    over = claims.take("crm", lambda: True)
    claims.withdraw()
    assert not over.done(), "it has not been called yet"
    await due(claims)
    await asyncio.sleep(0.01)
    claims.withdraw()
    assert over.done() == (not busy)


async def test_a_node_that_leaves_keeps_what_it_walks_alone(claims: Claims, roster: Roster):
    roster.busy, roster.walks = {"crm", "bank"}, {"crm"}
    walked, queued = claims.take("crm", lambda: True), claims.take("bank", lambda: True)
    await due(claims)
    claims.withdraw(all_but_walking=True)
    assert not walked.done()
    assert queued.result() == AGAIN


async def test_only_who_is_sure_of_a_single_use_grant_may_send_it(claims: Claims, roster: Roster):
    alive = True
    claims.take("bank", lambda: alive)
    claims.take("crm", lambda: alive)
    await due(claims)
    assert claims.may_ask("bank")
    alive = False
    assert not claims.may_ask("bank")
    assert claims.may_ask("crm"), "twice is harmless"
    roster.busy = {"bank"}
    claims.lose()
    assert not claims.may_ask("bank"), "another may have it by now"
    claims.schedule("bank", DELAY)
    assert claims.may_ask("bank"), "a person asks for it"


async def test_alone_what_is_harmless_goes_on(claims: Claims):
    for name in ("crm", "bank"):
        claims.take(name, lambda: True)
    await due(claims)
    for name in ("crm", "bank"):
        claims.schedule(name, SOON)
    assert claims.go_alone() == (1, 1)
    for _ in range(3):
        assert await due(claims) == ("crm",)
        assert claims.ours("crm")
        claims.schedule("crm", SOON)
    claims.come_back()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(claims.due(), 0.1)


async def test_alone_nothing_that_others_walked_is_begun(claims: Claims):
    claims.schedule("crm", SOON)
    assert claims.go_alone() == (0, 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(claims.due(), 0.1)


async def test_hundreds_come_in_helpings(claims: Claims):
    for number in range(250):
        claims.take(f"job-{number}", lambda: True)
    helpings = [await due(claims) for _ in range(3)]
    assert [len(one) for one in helpings] == [100, 100, 50]
