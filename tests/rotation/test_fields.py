"""Destinations where members stand under other names: they are found again, and written anew where the names change."""

from datetime import timedelta

import pytest

from tests.core.builders import PLACE
from tests.rotation.stage import Stage, refresh_only, replaceable, token
from tests.rotation.test_ownership import SPARE

HEADER = (("header", "Bearer {access_token}"), ("ttl", "300s"))
OWN = {"job", "managed_by", "issued_at", "expires_at"}


def named(place=PLACE, fields=HEADER, **changes):
    return replaceable(fields=((place, fields),), **changes)


async def test_each_destination_has_its_own_names_and_all_the_same_token():
    stage = Stage(token(1), job=named(SPARE, destinations=(PLACE, SPARE)))
    await stage.rotate()
    assert stage.stands()["access_token"] == "AT-1"
    there = stage.stands(SPARE)
    assert there.keys() == {"header", "ttl"} | OWN
    assert (there["header"], there["ttl"]) == ("Bearer AT-1", "300s")
    assert {name: there[name] for name in OWN} == {name: stage.stands()[name] for name in OWN}


@pytest.mark.parametrize("fields", [HEADER, (("token", "{access_token}"),), (("until", "{expires_at_unix}"),)])
async def test_what_stands_there_is_ours_after_a_restart_and_due_at_its_time(fields):
    stage = Stage(token(1), token(2), job=named(fields=fields))
    await stage.rotate()
    stage.restart()
    assert (await stage.rotate()).outcome == "fresh"
    assert (await stage.later(minutes=50)).reason == "due"
    assert len(stage.http.requests) == 2


async def test_a_server_that_repeats_its_token_is_known_after_a_restart():
    stage = Stage(token(1), token(1), job=named())
    await stage.rotate()
    stage.restart()
    await stage.later(minutes=50)
    assert stage.charge.unchanged


@pytest.mark.parametrize("fields", [(), (("token", "{access_token}"),)])
async def test_other_names_are_there_at_once(fields):
    stage = Stage(token(1), token(2), job=named())
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=1))
    stage.reload(fields=((PLACE, fields),) if fields else ())
    ended = await stage.rotate()
    assert (ended.outcome, ended.reason) == ("rotated", "missing")
    assert "header" not in stage.stands()


async def test_another_fixed_text_comes_with_the_next_token():
    stage = Stage(token(1), token(2), job=named())
    await stage.rotate()
    stage.reload(fields=((PLACE, (HEADER[0], ("ttl", "600s"))),))
    assert (await stage.rotate()).outcome == "fresh"
    await stage.later(minutes=50)
    assert stage.stands()["ttl"] == "600s"


async def test_a_field_that_the_reply_has_nothing_for_is_left_out_and_asked_for_no_more():
    stage = Stage(token(1), job=named(fields=(*HEADER, ("id", "{id_token}")), keep=("id_token",)))
    await stage.rotate()
    assert "id" not in stage.stands()
    stage.restart()
    assert (await stage.rotate()).outcome == "fresh"


async def test_an_irreplaceable_job_writes_its_state_record_as_ever():
    job = refresh_only(fields=((PLACE, HEADER),))
    stage = Stage(token(1, refresh_token="RT-1"), job=job)
    await stage.rotate()
    assert stage.stands(job.state)["refresh_token"] == "RT-1"
    assert stage.stands()["header"] == "Bearer AT-1"
