"""Vault away: told once for all jobs, nothing asked in vain, and everybody goes on at once when it is back."""

from datetime import timedelta
from itertools import pairwise

import pytest

from refresher.core.errors import StoreUnavailableError
from refresher.core.model import Location, Reference
from tests.fakes.clock import settle
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, path_of, refreshing
from tests.rotation.stage import SlowStore

EU = Location(cluster="eu", mount="secret", path="tokens/job-0")


def many(count: int):
    return [job(f"job-{number}", "abcd"[number % 4]) for number in range(count)]


def loud(house: House) -> list[tuple[str, str, str]]:
    """What was told above debug, but for rotations."""
    return [
        (one.name, one.level, one.job) for one in house.sink.events if one.level != "debug" and one.name != "rotated"
    ]


@pytest.mark.fault("F7")
@pytest.mark.parametrize("kinds", ["replaceable", "irreplaceable"])
async def test_an_hour_without_vault(kinds):
    jobs = (
        many(40)
        if kinds == "replaceable"
        else [refreshing(f"job-{number}", "abcd"[number % 4]) for number in range(40)]
    )
    house = House(*jobs, lifetime=900)
    house.provider.refreshes = kinds == "irreplaceable"
    async with house.serving():
        await house.advance(MINUTE)
        asked = len(house.provider.asked)
        house.sink.events.clear()
        house.store.away = True
        await house.advance(HOUR)
        during = len(house.provider.asked) - asked
        house.store.away = False
        await house.advance(6 * SECOND)
        assert all(house.state(name) == "fresh" for name in house.jobs)
        assert all(at > house.clock.now() for at in house.written.values())
    assert during <= (40 if kinds == "replaceable" else 0)
    assert len(house.provider.asked) <= asked + 2 * 40
    assert not house.provider.replayed
    story = loud(house)
    assert [line for line in story if line[0] in ("store_failed", "recovered")] == [
        ("store_failed", "warning", ""),
        ("store_failed", "error", ""),
        ("recovered", "info", ""),
    ]
    assert {line[2] for line in story} == {""}, "nothing is told of each job"


def sealed(_deed, _place):
    raise StoreUnavailableError("sealed", "Vault is sealed", status=503)


async def test_the_story_of_an_outage_has_its_times():
    house = House(*many(3))
    async with house.serving():
        await house.advance(MINUTE)
        house.store.away = True
        house.roster.offer("job-0", force=True)
        await house.advance(59 * SECOND)
        assert [one.level for one in house.sink.named("store_failed") if not one.job] == ["warning"]
        house.store.away, house.store.before = False, sealed
        await house.advance(6 * SECOND)
        assert [one.level for one in house.sink.named("store_failed") if not one.job] == ["warning", "error"]
        await house.advance(HOUR)
        house.store.before = lambda _deed, _place: None
        await house.advance(6 * SECOND)
        alert = [one for one in house.sink.named("store_failed") if not one.job][-1]
        over = house.sink.named("recovered")[-1]
    assert dict(alert.fields) == {"cluster": "default", "since": "2026-11-21T10:01:00Z", "error": "sealed"}
    assert over.fields["jobs"] == 3
    assert 3600 <= over.fields["outage_s"] <= 3680


async def test_nothing_of_an_outage_stays_with_a_job_that_was_only_looked_at():
    house = House(*many(2), drift=24 * HOUR)
    async with house.serving():
        await house.advance(MINUTE)
        house.store.away = True
        await house.roster.look("job-0")
        assert house.roster.charges["job-0"].holding is not None
        house.store.away = False
        await house.advance(2 * SECOND)
        assert house.roster.charges["job-0"].holding is None


async def test_vault_away_at_the_start_is_waited_for():
    house = House(*many(40))
    house.store.away = True
    async with house.serving():
        await house.advance(10 * MINUTE)
        assert house.ready.is_set()
        assert {house.state(name) for name in house.jobs} == {"unknown"}
        assert not house.provider.asked
        house.store.away = False
        await house.advance(6 * SECOND)
        assert len(house.written) == 40


async def test_an_answer_of_any_kind_ends_an_outage():
    """What Vault refuses is the affair of the job that it refuses."""
    house = House(*many(4))
    async with house.serving():
        await house.advance(MINUTE)
        house.store.away = True
        house.roster.offer("job-0", force=True)
        await house.advance(30 * SECOND)
        house.store.denied = {"tokens/job-0"}
        house.store.away = False
        await house.advance(HOUR)
        assert [house.state(f"job-{number}") for number in range(4)] == ["retrying", "fresh", "fresh", "fresh"]
        assert ("store_failed", "error", "job-0") in loud(house)


@pytest.mark.fault("F9")
async def test_a_fail_over_needs_nobody():
    house = House(*many(4), lifetime=60)
    async with house.serving():
        await house.advance(20 * SECOND)
        house.store.away = True
        await house.advance(30 * SECOND)
        house.store.away = False
        await house.advance(MINUTE)
    assert [line for line in loud(house) if line[1] == "error" and line[0] == "store_failed"] == []


@pytest.mark.fault("F11")
async def test_a_vault_that_answers_a_proof_and_fails_each_write_is_one_outage():
    house = House(*many(4))

    def before(deed, _place):
        if deed == "write":
            raise StoreUnavailableError("sealed", "Vault is sealed", status=503)

    house.store.before = before
    async with house.serving():
        await house.advance(10 * MINUTE)
        told = [one for one in loud(house) if one[0] in ("store_failed", "recovered")]
        assert told == [("store_failed", "warning", ""), ("store_failed", "error", "")], "it is not over"
        assert len([deed for deed, _ in house.store.calls if deed == "prove"]) <= 10 * 60 / 3, "less and less often"
        assert len(house.provider.asked) <= 4
        house.store.before = lambda _deed, _place: None
        await house.advance(10 * SECOND)
        assert len(house.written) == 4
        assert loud(house)[-1] == ("recovered", "info", "")
        await house.advance(2 * MINUTE)
        house.store.away = True
        house.roster.offer("job-0", force=True)
        await house.advance(SECOND)
        assert loud(house)[-1] == ("store_failed", "warning", ""), "another outage is told again"
        house.store.away = False


@pytest.mark.fault("F15")
async def test_a_quota_is_asked_once_in_what_it_tells_to_wait_and_lets_everybody_through(measured):
    """Twelve requests a minute, for forty jobs of which each needs one write."""
    house = House(*many(40), lifetime=7200)
    window, wait = 12, 60.0
    state = {"ends": -wait, "left": 0}
    refused: list[float] = []

    def quota(_deed, _place):
        now = house.clock.monotonic()
        if now >= state["ends"]:
            state.update(ends=now + wait, left=window)
        if not state["left"]:
            refused.append(now)
            raise StoreUnavailableError("quota", "too many", status=429, retry_after=state["ends"] - now)
        state["left"] -= 1

    async with house.serving():
        await house.advance(SECOND)
        began, before = house.clock.monotonic(), len(house.written)
        house.store.before = quota
        for name in house.jobs:
            house.roster.offer(name, force=True)
        while len(house.sink.named("rotated")) < 2 * len(house.jobs):
            await house.advance(SECOND)
        lasted = house.clock.monotonic() - began
    bursts = sum(after - earlier > 1 for earlier, after in pairwise(refused)) + 1
    measured(f"{window} requests a minute, 40 writes: {bursts} times refused, done after {lasted:.0f} s")
    assert before == 40
    assert (
        min((after - earlier for earlier, after in pairwise(refused) if after - earlier > 1), default=wait) >= wait - 1
    )
    assert lasted <= 40 / window * wait * 1.1


@pytest.mark.fault("F7", "F8", "F11")
@pytest.mark.parametrize(
    ("kinds", "fault"),
    [("replaceable", "down"), ("irreplaceable", "sealed"), ("replaceable", "answers reads and proofs alone")],
)
async def test_five_hundred_jobs_through_an_hour_without_vault(kinds, fault, measured):
    maker = job if kinds == "replaceable" else refreshing
    house = House(*(maker(f"job-{number:03}", "abcdefgh"[number % 8]) for number in range(500)), lifetime=1800)
    house.provider.refreshes = kinds == "irreplaceable"
    house.provider.latency = timedelta(seconds=0.2)
    async with house.serving():
        await house.advance(2 * MINUTE)
        before = {name: house.asked(name) for name in house.jobs}
        house.store.away = fault == "down"
        if fault != "down":
            house.store.before = sealed if fault == "sealed" else unwritten
        await house.advance(HOUR)
        most = max(house.asked(name) - before[name] for name in house.jobs)
        house.store.away, house.store.before = False, lambda _deed, _place: None
        back = house.clock.monotonic()
        while not all(at > house.clock.now() for at in house.written.values()):
            await house.advance(SECOND)
            assert house.clock.monotonic() - back <= 60
        lag = house.clock.monotonic() - back
        spent = len(house.provider.replayed)
    story = [line for line in loud(house) if line[0] in ("store_failed", "recovered")]
    measured(f"{kinds}, {fault}: {most} requests per job at most, all written {lag:.0f} s after, {len(story)} lines")
    assert len(house.written) == 500
    assert most <= 2
    assert spent == 0
    assert [line[:2] for line in story] == [
        ("store_failed", "warning"),
        ("store_failed", "error"),
        ("recovered", "info"),
    ]


def unwritten(deed, _place):
    if deed == "write":
        raise StoreUnavailableError("standby", "there is no active node", status=500)


def two_clusters(house: House) -> SlowStore:
    house.stores["eu"] = SlowStore(house.clock)
    return house.stores["eu"]


async def test_one_cluster_that_is_away_holds_nobody_of_the_other():
    house = House(job("eu", destinations=(Location(cluster="eu", mount="secret", path="tokens/eu"),)), *many(4))
    eu = two_clusters(house)
    eu.away = True
    async with house.serving():
        await house.advance(HOUR)
        assert len(house.written) == 4
        assert {house.state(f"job-{number}") for number in range(4)} == {"fresh"}
        lines = [dict(one.fields)["cluster"] for one in house.sink.named("store_failed") if one.level == "warning"]
        assert lines == ["eu"]
        eu.away = False
        await house.advance(6 * SECOND)
        assert eu.stands(Location(cluster="eu", mount="secret", path="tokens/eu"))


@pytest.mark.parametrize("away", ["", "eu"])
async def test_a_job_of_two_clusters_serves_the_one_while_the_other_is_away(away):
    both = job("job-0", destinations=(path_of("job-0"), EU))
    house = House(both, job("job-1"), lifetime=600, drift=24 * HOUR)
    house.provider.lifetimes["job-1"] = 86_400  # it has no business with Vault meanwhile
    two_clusters(house)
    async with house.serving():
        await house.advance(MINUTE)
        asked = house.asked("job-0")
        house.stores[away].away = True
        house.roster.offer("job-0", force=True)
        await house.advance(5 * MINUTE)
        assert house.asked("job-0") == asked + 1, "one token for both"
        await house.advance(25 * MINUTE)
        served, goal = ("eu", EU) if away == "" else ("", path_of("job-0"))
        assert house.provider.issued[house.stores[served].stands(goal)["access_token"]] > house.clock.now()
        assert house.state("job-0") == "retrying"
        story = [line for line in loud(house) if line[0] in ("store_failed", "recovered")]
        assert story == [("store_failed", "warning", ""), ("store_failed", "error", "")], "told once, for all jobs"
        asked = house.asked("job-0")
        house.stores[away].away = False
        await house.advance(6 * SECOND)
        assert house.stores[""].stands(path_of("job-0")) == house.stores["eu"].stands(EU)
        assert house.state("job-0") == "fresh"
        assert house.asked("job-0") == asked, "healed with the same token"


async def test_a_secret_in_a_cluster_that_is_away_is_waited_for_too():
    secret = Reference(kind="vault", cluster="eu", target="secret/clients/a", field="client_secret")
    house = House(job("a", client_secret=secret))
    eu = two_clusters(house)
    eu.away = True
    plain = house.references.resolve

    async def resolve(wanted):
        if eu.away and secret in wanted.values():
            raise StoreUnavailableError("transport", "connection refused")
        return await plain(wanted)

    house.references.resolve = resolve
    house.references.texts[str(secret)] = "s"
    async with house.serving():
        await house.advance(30 * MINUTE)
        assert [line[1] for line in loud(house) if line[0] == "store_failed"] == ["warning", "error"]
        eu.away = False
        await house.advance(6 * SECOND)
        assert house.token("a")


async def test_a_job_that_is_removed_during_an_outage_is_not_woken():
    house = House(*many(2))
    house.store.away = True
    async with house.serving():
        await house.advance(MINUTE)
        house.update(job("job-0"))
        house.store.away = False
        await house.advance(MINUTE)
        assert house.asked("job-1") == 0
        assert house.token("job-0")


async def test_the_end_does_not_wait_for_vault():
    house = House(*many(4))
    async with house.serving():
        await house.advance(MINUTE)
        house.store.away = True
        house.roster.offer("job-0", force=True)
        await settle()
        house.roster.charges["job-0"].unwritten = None  # nothing is in hand
        house.stop.set()
        await house.finished(timedelta(seconds=0.001))


async def test_who_tries_vault_first_after_an_outage_is_let_finish_at_the_end():
    """The probe that sent him has ended by then, and nobody waits for what he finds."""
    house = House(*many(3))
    house.store.away = True
    async with house.serving():
        await house.clock.advance(MINUTE)
        house.store.away = False
        house.provider.latency = 20 * SECOND
        while not house.provider.asked:
            await house.clock.advance(SECOND)
        house.stop.set()
        await house.finished(MINUTE)
    assert len(house.written) == 1
