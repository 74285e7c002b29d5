"""The slow rounds: what readers are losing is told once, what others did is found, whatever the clock does."""

from datetime import timedelta

import pytest

from tests.fakes.http import answer, lost
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, many, path_of, refreshing, state_of

EIGHT = 8 * HOUR


def told(house: House, name: str):
    return [(one.job, dict(one.fields)) for one in house.sink.named(name)]


async def test_a_token_that_runs_out_is_told_twice_and_its_recovery_once():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.provider.refuse = lambda _asked: answer(503)
        await house.advance(2 * HOUR)
        expiring, expired = told(house, "expiring"), told(house, "expired")
        assert [(name, fields["expires_at"], fields["error"]) for name, fields in expiring + expired] == [
            ("a", "2026-11-21T11:00:00Z", "http_503")
        ] * 2
        assert 550 <= expiring[0][1]["left_s"] <= 590, "some seconds into the ten minutes that were promised"
        assert "left_s" not in expired[0][1]
        house.provider.refuse = lambda _asked: None
        await house.advance(6 * MINUTE)
        assert len(told(house, "recovered")) == 1
        house.provider.refuse = lambda _asked: lost()
        await house.advance(2 * HOUR)
        assert [len(told(house, name)) for name in ("expiring", "expired")] == [2, 2], "the next one is told again"


async def test_a_token_of_another_daemon_that_runs_out_is_told_of_too():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.provider.refuse = lambda _asked: answer(503)
        await house.advance(HOUR)
        ours = house.store.stands(path_of("a"))
        house.store.put(
            path_of("a"), ours | {"issued_at": "2026-11-21T11:00:00Z", "expires_at": "2026-11-21T12:00:00Z"}
        )
        await house.advance(HOUR)
    assert [fields["expires_at"] for _, fields in told(house, "expired")] == [
        "2026-11-21T11:00:00Z",
        "2026-11-21T12:00:00Z",
    ]


@pytest.mark.parametrize("lifetime", [5, 12, 60, 3600])
async def test_a_job_that_is_on_time_is_nothing_to_tell(lifetime):
    house = House(job("a"), lifetime=lifetime)
    house.provider.latency = 2 * SECOND if lifetime > 5 else SECOND / 10
    async with house.serving():
        for _ in range(10):
            await house.advance(timedelta(seconds=lifetime))
    assert [one.name for one in house.sink.events if one.name != "rotated"] == []


async def test_tokens_that_run_out_while_vault_is_away_are_told_in_one_line():
    house = House(*[job(f"job-{number:02}") for number in range(30)], lifetime=900)
    async with house.serving():
        await house.advance(MINUTE)
        house.store.away = True
        await house.advance(HOUR)
        lines = [*house.sink.named("expiring"), *house.sink.named("expired")]
        assert {one.job for one in lines} == {""}
        assert sum(one.fields["jobs"] for one in house.sink.named("expired")) == 30
        assert all(len(one.fields["names"]) <= 10 for one in lines)
        house.store.away = False


async def test_readers_of_a_job_that_another_daemon_is_at_are_not_said_to_hold_a_dead_token():
    house = House(refreshing("a"), lifetime=60)
    async with house.serving():
        await house.advance(20 * SECOND)
        intent = {"phase": "spending", "holder": "another", "nonce": "n", "following": "2"}
        house.store.put(state_of("a"), house.store.stands(state_of("a")) | intent)
        await house.advance(MINUTE)
        assert house.provider.requests("a")[1:], "taken over"
    assert house.sink.named("expired") == []


async def test_drift_finds_what_was_deleted():
    house = House(job("a"), job("b"), lifetime=86_400)
    async with house.serving():
        await house.advance(MINUTE)
        house.store.delete(path_of("a"))
        await house.advance(16 * MINUTE)
        assert house.token("a") == "AT-a-2"
        assert house.asked("b") == 1


async def test_drift_finds_a_foreign_change_and_tells_it_once():
    house = House(job("a"), lifetime=86_400)
    async with house.serving():
        await house.advance(MINUTE)
        house.store.put(path_of("a"), {"access_token": "STRANGE", "expires_at": "2026-11-21T12:00:00Z"})
        await house.advance(HOUR)
        assert house.token("a") == "STRANGE"
        assert len(house.sink.named("foreign_change")) == 1
        await house.advance(HOUR)
        assert house.token("a") == "AT-a-2", "taken over, when it had ended"
        assert len(house.sink.named("foreign_change")) == 1


async def test_drift_reads_each_path_once_a_round():
    house = House(*[job(f"job-{number}") for number in range(10)], lifetime=86_400, drift=10 * MINUTE)
    async with house.serving():
        await house.advance(MINUTE)
        house.store.calls.clear()
        await house.advance(HOUR)
        reads = [place for deed, place in house.store.calls if deed == "read"]
        assert 59 <= len(reads) <= 61
        assert len(set(reads)) == 10


async def test_a_round_without_jobs_waits_for_the_first():
    house = House(drift=MINUTE)
    async with house.serving():
        await house.advance(3 * MINUTE)
        house.update(job("a"))
        await house.advance(3 * MINUTE)
        assert house.token("a")
        assert len([deed for deed, _ in house.store.calls if deed == "read"]) >= 3


async def test_jobs_that_leave_in_the_middle_of_a_round_harm_nobody():
    """A sweep lets go of the loop after each helping of jobs."""
    house = House(*[job(f"job-{number:03}", "abcd"[number % 4]) for number in range(500)], lifetime=86_400)
    async with house.serving():
        await house.advance(MINUTE)
        for _ in range(5):
            house.update(*[job(name) for name in list(house.jobs)[::2]])
            await house.advance(29 * SECOND)
        assert len(house.roster.charges) == 16


async def test_a_sweep_finds_a_job_that_fell_out_of_every_list():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.scheduler.cancel("a")
        await house.advance(30 * SECOND)
        assert "a" in house.scheduler.waiting


async def test_a_latched_job_is_not_asked_for_by_any_round():
    house = House(refreshing("a"))
    house.provider.refuse = lambda _asked: answer(400, {"error": "invalid_grant"})
    async with house.serving():
        await house.advance(EIGHT)
        assert house.asked("a") == 1
        assert house.sink.told() == [("latched", "invalid_grant")]
        assert house.references.reads > 900, "but its secret is looked at by each"


@pytest.mark.parametrize(("leap", "is_told"), [(4, False), (-4, False), (6, True), (-6, True)])
async def test_a_leap_of_the_clock_is_told_when_it_matters(leap, is_told):
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        house.clock.jump(leap * SECOND)
        await house.advance(5 * MINUTE)
    assert [fields["leap_s"] for _, fields in told(house, "clock_skew")] == [leap] * is_told


async def test_looks_at_many_doubted_jobs_hold_up_no_sweep_and_their_tokens_are_told_of_after_the_look():
    """As at a node of a fleet that slept, or has lost PostgreSQL."""
    house = House(*many(100))
    async with house.serving():
        await house.advance(MINUTE)
        house.watch.doubts = True
        house.scheduler.ours = lambda _name, *, urgent=False: False  # noqa: ARG005  # other nodes have them
        await house.clock.advance(48 * MINUTE)
        house.store.latency, late = 2 * SECOND, 0.0
        house.store.calls.clear()
        for _ in range(5 * MINUTE // SECOND):
            await house.clock.advance(SECOND)
            late = max(late, house.clock.monotonic() - house.watch.swept_at)
            seen = {place.path for deed, place in house.store.calls if deed == "read"}
            assert all(f"tokens/{name}" in seen for name, _ in told(house, "expiring"))
        assert late <= 25
        assert sorted(name for name, _ in told(house, "expiring")) == [one.name for one in many(100)]
