"""A job that gets another name keeps its refresh token, its path and its history, whenever the process is killed."""

from dataclasses import replace

import pytest

from refresher.charge import Charge
from refresher.core.model import Location
from refresher.memory import recall, to_keep
from tests.core.builders import STATE
from tests.rotation.house import HOUR, MINUTE, SECOND, House, state_of, unwritable
from tests.rotation.house import refreshing as house_job
from tests.rotation.stage import Stage, refresh_only, refreshing, token
from tests.rotation.test_nothing_lost import INTENT, KEPT, MINE, THEIRS, Scene

NEW_STATE = Location(mount=STATE.mount, path=STATE.path.removesuffix("crm") + "crm-eu")


def renamed(job, **changes):
    """The job `crm` as `crm-eu`, with the same path."""
    return replace(job, name="crm-eu", moved_from="crm", **changes)


def rename(stage: Stage) -> None:
    """Start anew with the job under its new name, and what the ledger kept of the old one."""
    stage.charge = recall(Charge(job=renamed(stage.charge.job)), to_keep(stage.charge))


def test_the_job_under_its_old_name():
    job = renamed(refreshing())
    assert (job.former.name, job.former.state, job.former.moved_from) == ("crm", STATE, "")


async def test_the_refresh_token_goes_to_the_new_name_and_leaves_the_old_one():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refresh_only())
    await stage.rotate()
    before = stage.stands(STATE)
    rename(stage)
    assert (await stage.rotate()).outcome == "fresh", "the path is ours under the new name, too"
    assert "refresh_token" not in stage.stands(STATE)
    assert stage.stands(STATE)["phase"] == "idle"
    moved = stage.stands(NEW_STATE)
    assert (moved["refresh_token"], moved["phase"], moved["job"]) == ("RT-1", "idle", "crm-eu")
    assert int(moved["generation"]) == int(before["generation"]) + 1
    assert (await stage.later(minutes=50)).outcome == "rotated"
    assert stage.grants() == ["RT-seed", "RT-1"]
    assert stage.stands()["job"] == "crm-eu"
    assert stage.sink.told() == []


async def test_it_is_read_once_and_then_left_alone():
    stage = Stage(token(1, refresh_token="RT-1"), job=refresh_only())
    await stage.rotate()
    rename(stage)
    await stage.rotate()
    stage.deeds()
    await stage.later(minutes=1)
    assert f"read {STATE.path}" not in stage.deeds()
    stage.restart()
    await stage.rotate()
    assert [deed for deed in stage.deeds() if deed.endswith(STATE.path)] == [f"read {STATE.path}"]


async def test_there_and_back_again():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refresh_only())
    await stage.rotate()
    for _ in range(3):
        there = stage.charge.job
        rename(stage)
        await stage.rotate()
        back = replace(there, moved_from="crm-eu")
        stage.charge = recall(Charge(job=back), to_keep(stage.charge))
        await stage.rotate()
    assert stage.stands(STATE)["refresh_token"] == "RT-1"
    assert "refresh_token" not in stage.stands(NEW_STATE)
    await stage.later(minutes=50)
    assert stage.grants() == ["RT-seed", "RT-1"]
    assert stage.sink.told() == []


async def test_a_new_name_with_a_record_of_its_own_keeps_it():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-own-2"), job=refresh_only())
    await stage.rotate()
    stage.store.put(NEW_STATE, {"refresh_token": "RT-own", "generation": "1", "job": "crm-eu"})
    rename(stage)
    await stage.rotate()
    assert stage.stands(NEW_STATE)["refresh_token"] == "RT-own"
    assert stage.stands(STATE)["refresh_token"] == "RT-1", "nothing is lost"


async def test_what_another_daemon_may_be_spending_is_waited_for():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    stage.store.put(STATE, KEPT | INTENT | {"holder": THEIRS})
    rename(stage)
    ended = await stage.rotate()
    assert (ended.outcome, ended.error) == ("store_failed", "busy")
    assert stage.stands(NEW_STATE) is None
    stage.store.put(STATE, KEPT | {"refresh_token": "RT-theirs", "generation": "4", "phase": "idle"})
    await stage.later(seconds=20)
    assert stage.stands(NEW_STATE)["refresh_token"] == "RT-theirs"


async def test_what_nobody_knows_of_is_unknown_under_the_new_name_too_and_told_once():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    stage.store.put(STATE, KEPT | INTENT | {"holder": MINE})
    rename(stage)
    assert (await stage.rotate()).reason == "grant_unknown"
    assert stage.grants() == ["password", "password"], "the full grant"
    assert len(stage.sink.named("grant_unknown")) == 1
    assert stage.stands(NEW_STATE)["refresh_token"] == "RT-2"
    assert "refresh_token" not in stage.stands(STATE)


async def test_who_knows_the_old_name_alone_spends_nothing_while_it_is_moved():
    """Another daemon with yesterday's jobs.toml, at each moment of the move."""
    for deeds in range(1, 12):
        scene = Scene(refreshing(client_auth="post"))
        await scene.rotate()
        other, yesterday = scene.rotation_of(scene), Charge(job=scene.charge.job)
        await other.look(yesterday)
        rename(scene)
        await scene.killed_after(deeds)
        await other.rotate(yesterday, force=True)
        for _ in range(4):
            await scene.later(seconds=40)
        assert scene.provider.replayed == [], deeds


@pytest.mark.fault("F53")
@pytest.mark.parametrize("job", [refreshing(client_auth="post"), refresh_only(client_auth="post")], ids=["pw", "rt"])
async def test_a_kill_at_every_step_before_the_rename_and_of_the_move(job):
    unsure = runs = 0
    first, first_killed = 0, True
    while first_killed:
        first, second, second_killed = first + 1, 0, True
        while second_killed:
            second, runs = second + 1, runs + 1
            scene = Scene(job)
            await scene.rotate()
            first_killed = await scene.killed_after(first)
            safe = scene.newest_is_safe()
            rename(scene)
            second_killed = await scene.killed_after(second)
            where = f"killed at step {first}, then at step {second} under the new name"
            for _ in range(4):
                await scene.later(seconds=40)
            told = len(scene.sink.named("grant_unknown"))
            unsure += told
            assert scene.provider.replayed == [], where
            newest, moved = scene.provider.clients["acme"].delivered, scene.stands(NEW_STATE) or {}
            if job.grant == "password" or not told:
                assert moved.get("refresh_token") == newest, where
                assert scene.stands()["access_token"] == f"AT-acme-{scene.provider.clients['acme'].serial}", where
            assert "refresh_token" not in (scene.stands(STATE) or {}), where
            assert told or safe, where
    assert runs > 400
    assert unsure


def rename_in(house: House, *names: str) -> None:
    """Call each of these jobs `new-NAME`; its client and its path stay."""
    before = {name: house.jobs[name] for name in names}
    heirs = [
        house_job(f"new-{name}", client_id=job.client_id, moved_from=name, destinations=job.destinations)
        for name, job in before.items()
    ]
    house.update(*heirs)


async def test_a_reload_hands_on_what_is_known():
    house = House(house_job("a"))
    house.provider.refreshes = True
    async with house.serving():
        await house.advance(MINUTE)
        rename_in(house, "a")
        await house.advance(MINUTE)
        assert set(house.roster.charges) == {"new-a"}
        assert house.store.stands(state_of("new-a"))["refresh_token"] == "RT-a-1"
        assert house.asked("a") == 1, "the token that stands there is as good as before"
        await house.advance(2 * HOUR)
        assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"
    assert not house.provider.replayed
    assert house.expired_seconds == 0


@pytest.mark.parametrize("wait", [0, 0.5, 1.5, 2.5, 3.5, 4.5, 6.5])
async def test_a_reload_at_any_moment_of_a_walk(wait):
    house = House(house_job("a"))
    house.provider.refreshes = True
    house.store.latency = house.provider.latency = SECOND
    async with house.serving():
        await house.clock.advance(wait * SECOND)
        rename_in(house, "a")
        await house.advance(MINUTE)
        assert set(house.roster.charges) == {"new-a"}
        kept = (house.store.stands(state_of("new-a")) or {}).get("refresh_token")
        assert kept == house.provider.clients["a"].delivered
        assert house.token("a") == f"AT-a-{house.provider.clients['a'].serial}"
        assert house.provider.clients["a"].serial == 1
    assert not house.provider.twice_at_once
    assert not house.provider.replayed


async def test_a_reload_waits_for_what_the_old_name_has_yet_to_write():
    house = House(house_job("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        rename_in(house, "a")
        await house.advance(HOUR)
        assert set(house.roster.charges) == {"a", "new-a"}
        assert house.asked("a") == 1
        rename_in(house, "new-a")  # and once more, before the first was done
        house.store.before = lambda _deed, _place: None
        await house.advance(MINUTE)
        assert set(house.roster.charges) == {"new-new-a"}
    newest = house.provider.clients["a"].delivered
    assert house.store.stands(state_of("new-new-a"))["refresh_token"] == newest
    assert "refresh_token" not in house.store.stands(state_of("a"))
