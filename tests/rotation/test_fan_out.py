"""Several destinations of one job: each for itself, with one token for all."""

from datetime import timedelta

import pytest

from refresher.core.errors import StoreRefusedError, StoreUnavailableError
from refresher.core.model import Location
from refresher.standing import state_of
from tests.core.builders import NOW, PLACE
from tests.rotation.stage import SlowStore, Stage, refresh_only, replaceable, token
from tests.rotation.test_ownership import SPARE, strange

BOTH = (PLACE, SPARE)


def unwritable(stage: Stage, error: Exception, *places) -> None:
    def before(deed, place):
        if deed != "read" and place in places:
            raise error

    stage.store.before = before


@pytest.mark.parametrize("failing", BOTH)
@pytest.mark.parametrize("job", [replaceable(destinations=BOTH), refresh_only(destinations=BOTH)])
async def test_a_denied_destination_is_told_once_and_gets_the_same_token_later(job, failing):
    stage = Stage(token(1, refresh_token="RT-1"), job=job)
    other = next(place for place in BOTH if place != failing)
    unwritable(stage, StoreRefusedError("denied", "the policy denies it", status=403), failing)

    ended = await stage.rotate()

    assert (ended.outcome, ended.well, dict(ended.behind)) == ("rotated", False, {failing: "denied"})
    assert stage.stands(other)["access_token"] == "AT-1"
    for _ in range(3):
        await stage.later(minutes=2)
    assert stage.sink.told() == [("store_failed", "denied")], "told once"
    assert state_of(stage.charge, stage.clock.now(), "holder-1") == "retrying"
    unwritable(stage, ZeroDivisionError())
    ended = await stage.later(minutes=6)
    assert (ended.outcome, ended.reason, ended.well) == ("rotated", "behind", True)
    assert stage.stands(failing) == stage.stands(other)
    assert [dict(one.fields)["path"] for one in stage.sink.named("recovered")] == [str(failing)]
    assert len(stage.http.requests) == 1, "one request to the provider in all"


async def test_the_next_token_does_not_wait_for_a_destination_that_is_behind():
    stage = Stage(token(1), token(2), job=replaceable(destinations=BOTH))
    unwritable(stage, StoreRefusedError("denied", "the policy denies it", status=403), SPARE)
    await stage.rotate()
    ended = await stage.later(minutes=50)
    assert (ended.outcome, ended.reason) == ("rotated", "due")
    assert stage.stands()["access_token"] == "AT-2"
    unwritable(stage, ZeroDivisionError())
    await stage.later(minutes=6)
    assert stage.stands(SPARE)["access_token"] == "AT-2"
    assert len(stage.http.requests) == 2


async def test_a_destination_that_cannot_be_read_at_the_start_holds_up_no_other():
    stage = Stage(token(1), job=replaceable(destinations=BOTH))
    stage.store.denied.add(SPARE.path)
    assert (await stage.rotate()).outcome == "rotated"
    assert stage.stands()["access_token"] == "AT-1"
    stage.store.denied.clear()
    await stage.later(minutes=6)
    assert stage.stands(SPARE) == stage.stands()


async def test_a_destination_that_hangs_holds_up_no_other():
    far = Location(cluster="far", mount="secret", path="tokens/crm")
    stage = Stage(token(1), token(2), job=replaceable(destinations=(far, PLACE)))
    stage.stores["far"] = slow = SlowStore(stage.clock)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    slow.latency = timedelta(seconds=15)
    async with stage.walking():
        await stage.clock.advance(timedelta(seconds=1))
        assert stage.stands()["access_token"] == "AT-2"
        assert slow.stands(far)["access_token"] == "AT-1"
        await stage.clock.advance(timedelta(seconds=15))
    assert slow.stands(far)["access_token"] == "AT-2"


async def test_where_none_takes_it_the_token_waits_for_all():
    stage = Stage(token(1), job=replaceable(destinations=BOTH))
    unwritable(stage, StoreUnavailableError("sealed", "Vault is sealed", status=503), *BOTH)
    ended = await stage.rotate()
    assert (ended.outcome, ended.store_down, ended.away) == ("store_failed", True, {""})
    assert stage.charge.pending
    unwritable(stage, ZeroDivisionError())
    assert (await stage.later(seconds=5)).reason == "unwritten"
    assert stage.stands(SPARE) == stage.stands()
    assert len(stage.http.requests) == 1


async def test_what_a_stranger_wrote_at_one_that_was_behind_is_honoured():
    stage = Stage(token(1), job=replaceable(destinations=BOTH))
    unwritable(stage, StoreRefusedError("denied", "the policy denies it", status=403), SPARE)
    await stage.rotate()
    theirs = strange((NOW + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    stage.store.put(SPARE, theirs)
    unwritable(stage, ZeroDivisionError())
    await stage.later(minutes=6)
    assert stage.stands(SPARE) == theirs


@pytest.mark.parametrize("job", [replaceable(destinations=BOTH), refresh_only(destinations=BOTH)])
async def test_the_next_token_is_asked_for_in_time_where_one_lacks_it_and_the_other_cannot_be_read(job):
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=job)
    unwritable(stage, StoreRefusedError("denied", "the policy denies it", status=403), SPARE)
    await stage.rotate()

    def before(deed, place):
        if place == PLACE if deed == "read" else place == SPARE:
            raise StoreRefusedError("denied", "the policy denies it", status=403)

    stage.store.before = before
    await stage.clock.advance(timedelta(minutes=1))
    await stage.look()
    assert set(stage.charge.behind) == set(BOTH)
    stage.store.before = lambda _deed, _place: None
    ended = await stage.later(minutes=49)
    assert (ended.outcome, ended.reason, ended.well) == ("rotated", "due", True)
    assert stage.stands(SPARE) == stage.stands()
    assert stage.stands()["access_token"] == "AT-2"
