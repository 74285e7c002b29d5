"""All jobs together: each on time, none in another's way, whatever one of them does."""

import asyncio
from datetime import timedelta

import pytest

from refresher.core.settings import Limits
from tests.fakes.clock import settle
from tests.fakes.http import answer, lost
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, many, path_of, refreshing, state_of


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


@pytest.mark.fault("F32")
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


@pytest.mark.fault("F32")
async def test_no_more_than_all_slots_at_once():
    house = House(*many(80, *"abcdefghijklmnopqrst"), limits=Limits(per_host=4, total=16))
    house.provider.latency = SECOND
    async with house.serving():
        for _ in range(40):
            await house.advance(SECOND / 4)
        assert house.provider.most_in_all == 16
        assert max(house.provider.most.values()) <= 4
        assert len(house.written) == 80


@pytest.mark.fault("F39")
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


@pytest.mark.fault("F61")
@pytest.mark.parametrize("error", [RuntimeError, SystemExit, MemoryError, RecursionError, KeyError])
@pytest.mark.leak("L5")
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


@pytest.mark.fault("F61")
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


@pytest.mark.fault("F25", "F26")
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


@pytest.mark.fault("F27")
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


async def test_a_clock_that_was_ahead_for_a_while_lengthens_no_wait():
    house = House(job("crm"))
    house.provider.refuse = lambda _asked: answer(503)
    async with house.serving():
        house.clock.jump(HOUR)
        await house.advance(10 * MINUTE)
        house.clock.jump(-HOUR)
        before = house.asked("crm")
        await house.advance(30 * MINUTE)
        assert 4 <= house.asked("crm") - before <= 9
