"""Shadow mode: beside the cron job that still owns the path, and then in its place."""

from datetime import timedelta

import pytest

from refresher.charge import Charge
from refresher.core.errors import StoreUnavailableError
from refresher.core.model import Location
from refresher.core.shadow import of
from refresher.memory import recall, to_keep
from refresher.standing import status_of
from tests.core.builders import PLACE
from tests.rotation.stage import Stage, replaceable, token
from tests.rotation.test_ownership import SPARE, strange

BESIDE = of(PLACE)
CRON = {"token": "T-1"}


def shadowing(**changes):
    return replaceable(destinations=(BESIDE,), observed=(PLACE,), **changes)


def said(stage: Stage, *levels: str) -> list[tuple[str, object]]:
    return [
        (one.level, one.fields["standing"])
        for one in stage.sink.named("shadow_compared")
        if not levels or one.level in levels
    ]


async def test_it_writes_beside_the_path_and_leaves_that_alone():
    stage = Stage(token(1), job=shadowing())
    stage.store.put(PLACE, CRON)
    ended = await stage.rotate()
    assert (ended.outcome, ended.well) == ("rotated", True)
    assert stage.stands(BESIDE)["access_token"] == "AT-1"
    assert stage.stands() == CRON
    assert stage.deeds() == [f"read {BESIDE.path}", f"write {BESIDE.path}", f"read {PLACE.path}"]


async def test_what_stands_there_is_told_when_it_is_news():
    stage = Stage(token(1), token(2), job=shadowing())
    stage.store.put(PLACE, strange("2026-11-21T11:00:00Z"))
    await stage.rotate()
    (told,) = stage.sink.named("shadow_compared")
    assert (told.level, told.job) == ("info", "crm")
    assert told.fields == {
        "path": str(PLACE),
        "standing": "well",
        "same": False,
        "version": 1,
        "expires_at": "2026-11-21T11:00:00Z",
        "left_s": 3600,
        "lowest_left_s": 3600,
        "ours_left_s": 3600,
    }
    await stage.look()
    assert said(stage) == [("info", "well"), ("debug", "well")]
    await stage.clock.advance(timedelta(minutes=51))
    await stage.rotate()
    assert said(stage, "warning") == [("warning", "short")], "its readers have less life than ours are promised"
    await stage.clock.advance(timedelta(minutes=10))
    await stage.look()
    await stage.look()
    assert said(stage, "warning")[1:] == [("warning", "dead")]
    stage.store.put(PLACE, strange("2026-11-21T12:00:00Z"))
    await stage.look()
    last = stage.sink.named("shadow_compared")[-1]
    assert (last.level, last.fields["standing"], last.fields["lowest_left_s"]) == ("info", "well", -60)


async def test_a_token_without_an_expiry_is_as_old_as_vault_says():
    stage = Stage(token(1), job=shadowing())
    stage.store.put(PLACE, CRON)
    stage.store.age = timedelta(minutes=20)
    await stage.rotate()
    (told,) = stage.sink.named("shadow_compared")
    assert (told.fields["left_s"], told.fields["estimated"]) == (2400, True)
    assert told.fields["lacking"] == ("token",), "its readers look for a name that they would not find"


@pytest.mark.parametrize("names", [(), (("token", "{access_token}"), ("header", "Bearer {access_token}"))])
async def test_the_same_token_is_known_whatever_its_name(names):
    stage = Stage(token(1), job=shadowing(fields=((BESIDE, names),) if names else ()))
    stage.store.put(PLACE, {"token": "AT-1"})
    await stage.rotate()
    (told,) = stage.sink.named("shadow_compared")
    assert told.fields["same"] is True
    assert ("lacking" in told.fields) == (not names)


async def test_nothing_there():
    stage = Stage(token(1), job=shadowing())
    await stage.rotate()
    assert said(stage) == [("warning", "missing")]


async def test_a_path_that_cannot_be_read_is_no_trouble_of_the_job():
    stage = Stage(token(1), job=shadowing())
    stage.store.denied.add(PLACE.path)
    ended = await stage.rotate()
    assert (ended.outcome, ended.well, ended.away) == ("rotated", True, frozenset())
    assert said(stage) == [("info", "unread")]
    (row,) = status_of(stage.charge, stage.clock.now(), "holder-1")["shadow"]
    assert (row["standing"], row["error"], row["life_left_s"]) == ("unread", "denied", None)

    def away(_deed, place):
        if place == PLACE:
            raise StoreUnavailableError("sealed", "Vault is sealed", status=503)

    stage.store.denied.clear()
    stage.store.before = away
    assert (await stage.look()).outcome == "fresh"


async def test_each_of_several_paths_is_compared():
    stage = Stage(token(1), job=replaceable(destinations=(BESIDE, of(SPARE)), observed=(PLACE, SPARE)))
    stage.store.put(SPARE, CRON)
    await stage.rotate()
    rows = status_of(stage.charge, stage.clock.now(), "holder-1")["shadow"]
    assert [(row["path"], row["standing"], row["estimated"]) for row in rows] == [
        (str(PLACE), "missing", False),
        (str(SPARE), "well", True),
    ]


async def test_a_job_that_is_not_in_shadow_mode_reads_nothing_more():
    stage = Stage(token(1))
    await stage.rotate()
    assert stage.deeds() == [f"read {PLACE.path}", f"write {PLACE.path}"]
    assert status_of(stage.charge, stage.clock.now(), "holder-1")["shadow"] is None


def restarted(stage: Stage, **changes) -> None:
    """Begin anew with what the ledger kept."""
    kept = to_keep(stage.charge)
    stage.restart(**changes)
    stage.charge = recall(Charge(job=stage.charge.job), kept)


@pytest.mark.parametrize("taken_over", [Stage.reload, restarted])
async def test_without_the_word_it_takes_over_and_honours_what_stands_there(taken_over):
    stage = Stage(token(1), token(2), job=shadowing())
    stage.store.put(PLACE, strange("2026-11-21T12:00:00Z"))
    await stage.rotate()
    taken_over(stage, destinations=(PLACE,), observed=())

    assert (await stage.rotate()).outcome == "fresh"
    assert stage.stands() == strange("2026-11-21T12:00:00Z")
    ended = await stage.later(minutes=119, seconds=30)

    assert (ended.outcome, ended.reason) == ("rotated", "due")
    assert stage.stands()["access_token"] == "AT-2"
    assert not stage.sink.told()


@pytest.mark.parametrize("taken_over", [Stage.reload, restarted])
async def test_what_states_no_expiry_is_replaced_at_once(taken_over):
    stage = Stage(token(1), token(2), job=shadowing())
    stage.store.put(PLACE, CRON)
    await stage.rotate()
    taken_over(stage, destinations=(PLACE,), observed=())
    assert (await stage.later(seconds=31)).outcome == "rotated"
    restarted(stage)
    assert (await stage.rotate()).outcome == "fresh"


async def test_another_path_than_the_one_it_stood_beside_is_as_strange_as_ever():
    stage = Stage(token(1), job=shadowing())
    await stage.rotate()
    stage.store.put(SPARE, CRON)
    restarted(stage, destinations=(SPARE,), observed=())
    assert (await stage.rotate()).reason == "unmanaged"
    assert stage.stands(SPARE) == CRON


async def test_a_cron_job_that_nobody_stopped_is_told_of():
    stage = Stage(token(1), token(2), job=shadowing())
    stage.store.put(PLACE, CRON)
    await stage.rotate()
    stage.reload(destinations=(PLACE,), observed=())
    await stage.later(seconds=31)
    stage.store.put(PLACE, CRON)
    await stage.look()
    assert stage.sink.told() == [("foreign_change", "")]


async def test_the_place_beside_is_in_the_same_mount_and_cluster():
    place = Location(cluster="eu", mount="kv", path="a/b")
    assert of(place) == Location(cluster="eu", mount="kv", path="a/b-shadow")
