"""All jobs together: each on time, none in another's way, whatever one of them does."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.core.errors import StoreUnavailableError
from refresher.core.settings import Limits
from tests.fakes.clock import settle
from tests.fakes.http import answer, lost
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, path_of, refreshing, state_of


def many(count: int, *hosts: str, **changes):
    return [job(f"job-{number:04}", hosts[number % len(hosts)] if hosts else "a", **changes) for number in range(count)]


async def test_twenty_jobs_with_short_lives_are_never_late():
    house = House(*many(20, "a", "b", "c"))
    house.provider.lifetimes = {name: 6 + number * 54 // 19 for number, name in enumerate(house.jobs)}
    house.provider.latency = timedelta(milliseconds=50)
    async with house.serving():
        for _ in range(60):
            await house.advance(10 * SECOND)
    assert house.expired_seconds == 0
    for name, lifetime in house.provider.lifetimes.items():
        assert house.asked(name) <= 600 / (lifetime / 2) + 2, "and no more often than half of their lives"
    assert house.sink.told() == []


async def test_a_day_of_two_thousand_jobs():
    house = House(*many(2000, *"abcdefgh"), drift=timedelta(days=9))
    hours = (4, 6, 8, 12, 24)
    house.provider.lifetimes = {name: hours[number % 5] * 3600 for number, name in enumerate(house.jobs)}
    async with house.serving(sweeps=False):
        await house.advance(24 * HOUR)
        assert len(house.written) == 2000
    assert house.expired_seconds == 0
    assert house.sink.told() == []
    assert len(house.provider.asked) < sum(24 * 3600 / (life / 2) for life in house.provider.lifetimes.values())


async def test_the_sweep_of_thousands_of_jobs_moves_none():
    house = House(*many(2000, *"abcdefgh"), drift=timedelta(days=9))
    async with house.serving():
        await house.advance(MINUTE)
        before = dict(house.scheduler.waiting)
        await house.advance(MINUTE)
        assert {name: round(at, 3) for name, at in house.scheduler.waiting.items()} == {
            name: round(at, 3) for name, at in before.items()
        }
    assert len(house.provider.asked) == 2000


async def test_the_earliest_expiry_goes_first_under_the_limits():
    house = House(*many(30, "a"), limits=Limits(per_host=4, total=16))
    house.provider.lifetimes = {name: 100 + (number * 7) % 30 for number, name in enumerate(house.jobs)}
    async with house.serving():
        await house.advance(SECOND)
        house.provider.latency = SECOND
        house.provider.asked.clear()
        for name in house.jobs:
            house.roster.offer(name, force=True)
        await house.advance(3 * SECOND)
        assert house.provider.most["a.example.com"] == 4
        lives = [house.provider.lifetimes[asked.client] for asked in house.provider.asked]
        assert lives == sorted(lives)


async def test_no_more_than_all_slots_at_once():
    house = House(*many(80, *"abcdefghijklmnopqrst"), limits=Limits(per_host=4, total=16))
    house.provider.latency = SECOND
    async with house.serving():
        for _ in range(40):
            await house.advance(SECOND / 4)
        assert house.provider.most_in_all == 16
        assert max(house.provider.most.values()) <= 4
        assert len(house.written) == 80


async def test_hosts_that_hang_stop_nobody_else():
    hanging = [job(f"bad-{host}-{number}", host) for host in "wxyz" for number in range(10)]
    house = House(*hanging, *many(20, "a", "b"))
    house.provider.hanging = {f"{host}.example.com" for host in "wxyz"}
    async with house.serving():
        await house.advance(SECOND)
        assert all(house.token(name) for name in house.jobs if name.startswith("job")), "at once, behind 40 that hang"
        await house.advance(2 * MINUTE)
        house.provider.most.clear()
        await house.advance(2 * MINUTE)
        assert max(house.provider.most[host] for host in house.provider.hanging) == 1, "one slot for a host that hangs"


async def test_a_walk_that_asks_nobody_says_nothing_about_a_host():
    """A job whose secret is unreadable does not make its hanging host a good one again."""
    house = House(*[job(f"bad-{number}", "w") for number in range(8)], job("blind", "w", client_secret=None))
    house.provider.hanging = {"w.example.com"}
    async with house.serving():
        await house.advance(25 * SECOND)
        for _ in range(10):
            house.provider.most.clear()
            house.roster.offer("blind", force=True)
            await house.advance(3 * SECOND)
            assert house.provider.most["w.example.com"] <= 1


class Poisoned:
    """A provider in whose answers to the job `bad` a bug of ours is triggered."""

    def __init__(self, house: House, error: BaseException) -> None:
        self.house, self.error = house, error

    async def send(self, request):
        if b"client_id=bad" in request.body:
            raise self.error
        return await self.house.provider.send(request)


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, MemoryError, RecursionError, KeyError])
async def test_a_bug_backs_off_one_job_alone_and_is_told_without_its_text(error, canaries):
    house = House(job("bad"), *many(5))
    house.http = Poisoned(house, error(canaries.plant("text")))
    async with house.serving():
        for _ in range(20):
            await house.advance(MINUTE)
        told = house.sink.named("failing")
        assert [(one.level, one.job) for one in told[:2]] == [("error", "bad"), ("debug", "bad")]
        assert told[0].fields["type"] == error.__name__
        assert told[0].fields["where"].startswith("test_roster.py:")
        assert 5 <= len(told) <= 15, "it backs off"
        assert house.state("bad") in ("retrying", "due")
        house.http.error = lost()
        await house.advance(6 * MINUTE)
        house.http.error = None
    assert len(house.written) == 5
    canaries.check(house.sink.text(), repr(house.roster.charges["bad"]))


@pytest.mark.parametrize("deed", ["read", "write", "prove"])
async def test_a_bug_in_any_deed_harms_one_job_alone(deed):
    house = House(refreshing("bad"), *many(5))

    def poison(done, place):
        if done == deed and place in (path_of("bad"), state_of("bad")):
            raise ZeroDivisionError

    house.provider.refreshes = True
    house.store.before = poison
    async with house.serving():
        for _ in range(5):
            await house.advance(10 * MINUTE)
        assert len(house.written) == 5
        house.store.before = lambda _deed, _place: None
        await house.advance(6 * MINUTE)
        assert house.token("bad")
        assert not house.provider.replayed


async def test_a_lost_bell_costs_at_most_a_sweep():
    house = House(*many(50))
    house.scheduler.deaf = True
    async with house.serving():
        for _ in range(120):
            await house.clock.advance(MINUTE)
    assert house.expired_seconds == 0
    assert len(house.provider.asked) < 50 * 4


@pytest.mark.parametrize("leap", [-HOUR, HOUR, -timedelta(days=400), timedelta(days=400)], ids=str)
@pytest.mark.parametrize("lifetime", [12, 60, 3600])
async def test_a_wall_clock_that_leaps_makes_no_token_die(leap, lifetime):
    house = House(*many(20), lifetime=lifetime)
    issued, dead = {}, []

    def note(deed, place):
        if deed == "write":
            lived = house.clock.monotonic() - issued.get(place.path, house.clock.monotonic())
            dead.append(max(lived - lifetime, 0))
            issued[place.path] = house.clock.monotonic()

    house.store.after = note
    async with house.serving():
        await house.clock.advance(timedelta(seconds=lifetime * 0.4))
        house.clock.jump(leap)
        for _ in range(20):
            await house.clock.advance(timedelta(seconds=lifetime / 5))
        asked = len(house.provider.asked)
        skews = [one.fields["leap_s"] for one in house.sink.named("clock_skew")]
    assert len(issued) == 20
    assert max(dead) == 0
    assert skews == ([leap.total_seconds()] if lifetime > 12 else skews[:1])
    assert asked <= 20 * (4.4 / 0.5 + 2), "no burst either"


async def test_a_clock_that_is_stepped_to_and_fro_costs_next_to_nothing():
    house = House(*many(10))
    async with house.serving():
        for minute in range(24 * 60):
            house.clock.jump(timedelta(seconds=10 if minute % 2 else -10))
            await house.clock.advance(MINUTE)
    assert house.expired_seconds == 0
    assert len(house.provider.asked) <= 10 * 24 * 1.1 * 60 / 45


async def test_backoff_is_kept_after_the_clock_was_set_back():
    house = House(job("crm"))
    house.provider.refuse = lambda _asked: answer(503)
    async with house.serving():
        await house.advance(10 * MINUTE)
        house.clock.jump(-HOUR)
        before = house.asked("crm")
        await house.advance(30 * MINUTE)
        assert 4 <= house.asked("crm") - before <= 9, "every five minutes, neither in a rush nor an hour later"


# ---- the end


async def test_an_idle_roster_stops_at_once():
    house = House(*many(5))
    async with house.serving():
        await house.advance(MINUTE)
        house.stop.set()
        await house.finished(timedelta(seconds=0.001))


async def test_a_walk_under_way_is_finished_and_nothing_new_begins():
    house = House(*many(6), limits=Limits(per_host=2))
    house.provider.latency = 10 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 2
        house.stop.set()
        await house.finished(10 * SECOND)
    assert len(house.provider.asked) == len(house.written) == 2


async def test_a_stop_does_not_wait_for_a_vault_that_hangs_at_the_start():
    house = House(*many(100))
    house.store.latency = 20 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.finished(timedelta(seconds=0.001))
        assert not house.ready.is_set()


def unwritable(house: House) -> None:
    """Have Vault read and prove, and fail every write."""

    def before(deed, _place):
        if deed == "write":
            raise StoreUnavailableError("sealed", "Vault is sealed", status=503)

    house.store.before = before


async def test_an_unwritten_token_that_can_be_had_again_is_tried_for_35_seconds():
    house = House(*many(40, *"abcdefghij"))
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 40
        house.stop.set()
        began = house.clock.monotonic()
        await house.finished(40 * SECOND)
        assert 34 <= house.clock.monotonic() - began <= 37
    assert len(house.provider.asked) == 40


async def test_an_unwritten_token_that_can_be_had_again_is_written_when_vault_comes_back_in_time():
    house = House(*many(40, *"abcdefghij"))
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.clock.advance(20 * SECOND)
        house.store.before = lambda _deed, _place: None
        await house.finished(3 * SECOND)
    assert len(house.written) == 40


async def test_an_unwritten_token_that_cannot_be_had_again_is_waited_for_as_long_as_it_takes():
    house = House(refreshing("semansys"), *many(3))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.clock.advance(2 * HOUR)
        assert not house.serve.done()
        asked = len(house.provider.asked)
        house.store.before = lambda _deed, _place: None
        await house.finished(3 * SECOND)
        assert len(house.provider.asked) == asked, "nothing new was begun for it"
    assert house.store.stands(state_of("semansys"))["refresh_token"] == "RT-semansys-1"


async def test_the_end_is_not_late_for_many_slow_writes():
    """Each write hangs for ten seconds: one after the other they would take minutes."""
    house = House(*many(64, *"abcdefghijklmnop"), limits=Limits(per_host=4, total=64))
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        assert len(house.provider.asked) == 64
        house.store.latency = 20 * SECOND
        house.stop.set()
        await house.finished(50 * SECOND)


# ---- reload


async def test_a_job_that_is_added_gets_its_token_at_once():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.update(job("a"), job("b"))
        await house.advance(SECOND)
        assert house.token("b")
        assert house.asked("a") == 1


async def test_a_job_that_is_removed_is_left_alone():
    house = House(job("a"), job("b"))
    async with house.serving():
        await house.advance(MINUTE)
        house.update(job("a"))
        assert set(house.roster.charges) == {"a"}
        await house.advance(3 * HOUR)
        assert house.asked("b") == 1


@pytest.mark.parametrize("wait", [0, 0.5, 1.5, 2.5], ids=["queued", "looking", "asking", "writing"])
@pytest.mark.parametrize("change", ["removed", "changed", "removed and added"])
async def test_a_job_that_is_reloaded_at_any_moment_is_lost_at_none(wait, change):
    house = House(refreshing("a"), job("b"))
    house.provider.refreshes = True
    house.store.latency = house.provider.latency = SECOND
    async with house.serving():
        await house.clock.advance(timedelta(seconds=wait))
        changed = refreshing("a", scope=("wide",)) if change == "changed" else refreshing("a")
        house.update(changed, job("b")) if change == "changed" else house.update(job("b"))
        await house.clock.advance(timedelta(seconds=0.3))
        if change == "removed and added":
            house.update(refreshing("a"), job("b"))
        await house.advance(MINUTE)
        newest = house.provider.clients["a"].delivered
        kept = (house.store.stands(state_of("a")) or {}).get("refresh_token")
        assert kept == newest, "what was issued is kept, whatever became of its job"
        if change == "removed":
            assert set(house.roster.charges) == {"b"}
        else:
            assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"
        assert not house.provider.twice_at_once
    assert not house.provider.replayed


async def test_a_removed_job_stays_until_what_it_was_given_is_written():
    house = House(refreshing("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update()
        await house.advance(2 * HOUR)
        assert house.roster.charges["a"].pending
        house.store.before = lambda _deed, _place: None
        await house.advance(6 * SECOND)
        assert not house.roster.charges
        assert house.asked("a") == 1
    assert house.store.stands(state_of("a"))["refresh_token"] == "RT-a-1"


async def test_a_removed_job_that_comes_back_meanwhile_goes_on():
    house = House(refreshing("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update()
        await house.advance(MINUTE)
        house.update(refreshing("a"))
        house.store.before = lambda _deed, _place: None
        await house.advance(3 * HOUR)
        assert house.state("a") == "fresh"
        assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"


async def test_a_changed_job_forgets_neither_what_was_refused_nor_what_was_issued():
    house = House(refreshing("a"))
    house.provider.latency = 2 * SECOND
    house.provider.refuse = lambda _asked: answer(400, {"error": "invalid_grant"})
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update(refreshing("a", adopt=True))
        await house.advance(HOUR)
        assert house.state("a") == "latched"
        assert house.asked("a") == 1, "a refused password is not sent again because of another key"


async def test_a_job_that_moves_to_another_host_is_asked_for_there():
    house = House(*many(9, "slow"), limits=Limits(per_host=1))
    house.provider.latency = MINUTE
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update(*[replace(one, token_url="https://fast.example.com/token") for one in house.jobs.values()])
        await house.advance(SECOND)
        assert house.provider.under_way["fast.example.com"] == 1


async def test_a_latch_opens_within_a_sweep_when_the_secret_changes():
    house = House(job("a"), refreshing("b"))
    house.provider.refuse = lambda _asked: answer(401, {"error": "invalid_client"})
    async with house.serving():
        await house.advance(10 * MINUTE)
        assert [house.asked(name) for name in "ab"] == [1, 1]
        assert [house.state(name) for name in "ab"] == ["latched", "latched"]
        house.provider.refuse = lambda _asked: None
        house.references.texts = dict.fromkeys(house.references.texts, "mended")
        await house.advance(30 * SECOND)
        assert [house.state(name) for name in "ab"] == ["fresh", "fresh"]


async def test_a_forced_rotation_is_not_forgotten_because_somebody_looks():
    house = House(job("a"))
    house.store.latency = SECOND
    async with house.serving():
        await house.advance(MINUTE)
        look = asyncio.ensure_future(house.roster.look("a"))
        await settle()
        house.roster.offer("a", force=True)
        await house.advance(3 * SECOND)
        await look
        assert house.asked("a") == 2


async def test_a_job_that_is_removed_while_somebody_looks_at_it_harms_nobody():
    house = House(job("a"), job("b"))
    async with house.serving():
        await house.advance(MINUTE)
        house.store.latency = SECOND
        house.store.delete(path_of("a"))
        look = asyncio.ensure_future(house.roster.look("a"))
        await settle()
        house.update(job("b"))
        await house.advance(3 * SECOND)
        await look
        assert set(house.roster.charges) == {"b"}
        await house.advance(2 * HOUR)
        assert house.state("b") == "fresh"


async def test_nobody_walks_a_job_that_somebody_looks_at():
    """A look that took long would overwrite what a walk has learned since."""
    house = House(refreshing("a"))
    house.provider.refreshes = True
    gate, read = asyncio.Event(), house.store.read

    async def slowly(place):
        found = await read(place)
        await gate.wait()
        return found

    async with house.serving():
        await house.advance(MINUTE)
        house.store.read = slowly
        look = asyncio.ensure_future(house.roster.look("a"))
        await settle()
        house.store.read = read
        house.roster.offer("a", force=True)
        await house.advance(SECOND)
        assert house.asked("a") == 1
        gate.set()
        await look
        await house.advance(3 * HOUR)
        assert house.asked("a") >= 3
    assert not house.provider.replayed


async def test_nobody_looks_at_a_job_that_is_walked():
    house = House(job("a"))
    house.provider.latency = 10 * SECOND
    async with house.serving():
        await house.clock.advance(SECOND)
        house.store.calls.clear()
        await house.roster.look("a")
        assert house.store.calls == []
