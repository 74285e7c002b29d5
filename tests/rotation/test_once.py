"""One pass, the cron line's successor: every job is heard of, with how it ended."""

import asyncio
from datetime import timedelta

import pytest

from refresher.core.model import Location
from refresher.core.settings import Limits
from refresher.memory import Memory
from tests.core.builders import NOW
from tests.fakes.clock import settle
from tests.fakes.http import answer
from tests.rotation.house import HOUR, SECOND, House, job, path_of, refreshing, state_of

AWAY = ("store_failed", "transport", True)


def many(count: int):
    return [job(f"job-{number:03}", "abcd"[number % 4]) for number in range(count)]


def ends(outcomes):
    return {(one.outcome, one.error, one.store_down) for one in outcomes.values()}


async def test_what_is_due_is_rotated_and_the_rest_is_fresh():
    house = House(*many(30))
    assert {(one.outcome, one.reason) for one in (await house.once()).values()} == {("rotated", "missing")}
    assert ends(await house.once()) == {("fresh", None, False)}
    assert len(house.provider.asked) == 30
    await house.clock.advance(timedelta(minutes=50))
    assert {(one.outcome, one.reason) for one in (await house.once()).values()} == {("rotated", "due")}


async def test_those_that_find_no_slot_at_first_come_later():
    house = House(*[job(f"job-{number}") for number in range(20)], job("other", "b"), limits=Limits(per_host=2))
    house.provider.latency = 3 * SECOND
    assert ends(await house.once()) == {("rotated", None, False)}
    assert house.provider.most["a.example.com"] == 2


async def test_only_those_that_are_named():
    house = House(*many(5))
    assert list(await house.once("job-003")) == ["job-003"]
    assert list(house.written) == ["tokens/job-003"]


async def test_force_rotates_what_is_not_due():
    house = House(*many(5))
    await house.once()
    assert {one.reason for one in (await house.once(force=True)).values()} == {"forced"}


@pytest.mark.parametrize("force", [False, True])
async def test_vault_away_is_the_end_of_every_job_and_asks_no_provider(force):
    house = House(*many(100))
    house.store.away = True
    assert ends(await house.once(force=force)) == {AWAY}
    assert not house.provider.asked


async def test_vault_that_goes_away_after_the_look_is_not_called_fresh():
    house = House(*many(60))
    await house.once()
    await house.clock.advance(HOUR)
    reads = []

    def before(deed, _place):
        reads.append(deed)
        house.store.away = len(reads) > 30

    house.store.before = before
    outcomes = await house.once()
    assert ends(outcomes) == {AWAY}, "those that were seen are due all the same"
    assert len(house.provider.asked) == 60


async def test_a_forced_pass_without_vault_is_not_called_fresh():
    house = House(*many(40))
    await house.once()
    house.store.before = lambda deed, _place: setattr(house.store, "away", deed == "write")
    outcomes = await house.once(force=True)
    assert ends(outcomes) <= {AWAY}


async def test_a_bug_is_not_called_fresh():
    house = House(job("bad"), job("good"))

    def before(deed, place):
        if deed == "write" and place == path_of("bad"):
            raise ZeroDivisionError

    house.store.before = before
    outcomes = await house.once()
    bad = outcomes["bad"]
    assert (bad.outcome, bad.reason, bad.error, bad.well) == ("halted", "internal", "internal", False)
    assert bad.destinations == ((path_of("bad"), 0),)
    assert outcomes["good"].outcome == "rotated"


async def test_what_could_not_be_written_at_first_is_told_as_it_ended():
    house = House(*many(3))
    house.store.away = False
    house.store.before = lambda deed, _place: setattr(
        house.store, "away", deed == "write" and house.clock.now() < NOW + 10 * SECOND
    )
    outcomes = await house.once()
    assert ends(outcomes) == {("rotated", None, False)}
    assert len(house.provider.asked) == 3


async def test_what_could_not_be_written_within_half_a_minute_has_failed():
    house = House(*many(3))
    house.store.before = lambda deed, _place: setattr(house.store, "away", deed == "write")
    assert ends(await house.once()) == {AWAY}
    assert house.clock.now() <= NOW + 40 * SECOND


@pytest.mark.parametrize(("minutes", "end"), [(50, ("rotated", None, False)), (70, AWAY)])
async def test_what_cannot_be_had_again_is_waited_for_as_long_as_it_lives(minutes, end):
    house = House(refreshing("semansys"))
    house.provider.refreshes = True
    back = NOW + timedelta(minutes=minutes)
    house.store.before = lambda deed, _place: setattr(
        house.store, "away", deed == "write" and bool(house.provider.asked) and house.clock.now() < back
    )
    assert ends(await house.once()) == {end}
    assert house.clock.now() - back < 5 * SECOND
    assert house.store.stands(state_of("semansys"))["refresh_token"] == "RT-semansys-1"


async def test_each_kind_of_end_at_once():
    strange = job("strange", destinations=(Location(mount="secret", path="tokens/strange"),))
    house = House(job("refused"), job("hurried"), job("garbled"), strange, job("blind"), job("good"))
    house.store.put(path_of("strange"), {"password": "x"})
    house.store.denied = {"tokens/blind"}
    replies = {
        "refused": answer(401, {"error": "invalid_client"}),
        "hurried": answer(503),
        "garbled": answer(200, b"?"),
    }
    house.provider.refuse = lambda asked: replies.get(asked.client)
    outcomes = await house.once()
    assert {name: (one.outcome, one.error) for name, one in outcomes.items()} == {
        "refused": ("rejected_permanent", "invalid_client"),
        "hurried": ("rejected_transient", "http_503"),
        "garbled": ("rejected_malformed", "body"),
        "strange": ("halted", "unmanaged"),
        "blind": ("store_failed", "denied"),
        "good": ("rotated", None),
    }


async def test_who_hears_of_the_pass_and_breaks_ends_no_walk():
    """A reader that leaves, a full disk: another job's request is under way then."""
    house = House(job("fast", "a"), refreshing("slow", "b"))
    house.provider.refreshes, serve = True, house.provider._serve

    async def slowly(asked, client):
        reply = await serve(asked, client)
        await house.clock.sleep((5 if asked.client == "slow" else 2) * SECOND)  # the answer is on its way
        return reply

    house.provider._serve = slowly
    heard = []

    def progress(ended):
        heard.append(ended.job)
        raise BrokenPipeError

    made = asyncio.ensure_future(house.build(scheduler=False).once(tuple(house.jobs), force=False, progress=progress))
    await settle()
    while not made.done():
        await house.clock.advance(SECOND)
    assert isinstance(made.exception(), BrokenPipeError), "it is told, once the pass has ended"
    assert house.token("slow") is not None
    assert house.store.stands(state_of("slow"))["refresh_token"] in house.provider.clients["slow"].valid
    assert heard == ["fast"], "and hears no more"


async def test_a_bug_at_the_end_of_a_walk_ends_no_other(monkeypatch):
    house, note = House(job("bad", "a"), job("good", "b")), Memory.note

    def noted(self, charge):
        if charge.job.name == "bad":
            raise LookupError
        note(self, charge)

    monkeypatch.setattr(Memory, "note", noted)
    outcomes = await house.once()
    assert outcomes["good"].outcome == "rotated"
