"""Whose path it is: what is never ours is never written, what was ours is honoured and taken back by check-and-set."""

from datetime import timedelta

import pytest

from refresher.core.model import Location
from tests.core.builders import NOW, PLACE, STATE
from tests.rotation.stage import Stage, refresh_only, refreshing, refused, replaceable, token

SPARE = Location(mount="secret", path="tokens/crm-spare")
HOUR = timedelta(hours=1)
STRANGE = {"password": "hunter2"}


def strange(expires_at: str) -> dict[str, str]:
    return {"access_token": "STRANGE", "expires_at": expires_at}


def ours(number: int, issued_at="2026-11-21T10:10:00Z", expires_at="2026-11-21T11:10:00Z") -> dict[str, str]:
    mark = {"job": "crm", "managed_by": "refresher/default"}
    return {"access_token": f"AT-other-{number}", "issued_at": issued_at, "expires_at": expires_at} | mark


@pytest.mark.parametrize("job", [replaceable(), refreshing(), replaceable(destinations=(PLACE, SPARE))])
async def test_a_path_that_was_never_ours_is_not_written(job):
    stage = Stage(job=job)
    stage.store.put(job.destinations[-1], STRANGE)

    for _ in range(3):
        ended = await stage.later(hours=1)
        assert (ended.outcome, ended.reason, ended.error, ended.well) == ("halted", "unmanaged", "unmanaged", False)
    await stage.look()

    assert stage.stands(job.destinations[-1]) == STRANGE
    assert stage.sink.told() == [("latched", "unmanaged")], "told once"
    assert not stage.http.requests


async def test_a_second_path_that_was_never_ours_is_not_written_because_the_first_is():
    stage = Stage(token(), job=replaceable(destinations=(PLACE, SPARE)))
    stage.restart(destinations=(PLACE,))
    await stage.rotate()
    stage.store.put(SPARE, STRANGE)
    stage.reload(destinations=(PLACE, SPARE))

    ended = await stage.later(hours=2)

    assert ended.reason == "unmanaged"
    assert stage.stands(SPARE) == STRANGE


@pytest.mark.fault("F20")
async def test_what_somebody_wrote_between_our_look_and_our_first_write_is_not_ours_either():
    stage = Stage(token())
    stage.store.before = lambda deed, place: stage.store.put(place, STRANGE) if deed == "write" else None

    ended = await stage.rotate()

    assert (ended.outcome, ended.reason) == ("halted", "unmanaged")
    assert stage.stands() == STRANGE
    assert stage.sink.told() == [("latched", "unmanaged")]


async def test_a_path_is_adopted_when_the_job_says_so_and_not_before_its_expiry():
    stage = Stage(token(), job=replaceable(adopt=True))
    stage.store.put(PLACE, strange("2026-11-21T11:00:00Z"))

    assert (await stage.rotate()).outcome == "fresh"
    assert (await stage.later(minutes=59, seconds=29)).outcome == "fresh"
    assert (await stage.later(seconds=1)).outcome == "rotated"
    assert stage.stands()["access_token"] == "AT-1"
    stage.restart(adopt=False)
    assert (await stage.rotate()).outcome == "fresh", "from then on it is ours"


async def test_what_states_no_expiry_is_adopted_at_once():
    stage = Stage(token(), job=replaceable(adopt=True))
    stage.store.put(PLACE, STRANGE)
    assert (await stage.rotate()).reason == "foreign"
    assert stage.stands()["access_token"] == "AT-1"


async def test_a_path_that_bears_our_mark_in_its_metadata_is_ours_though_what_stands_there_is_not():
    stage = Stage(token())
    stage.store.put(PLACE, STRANGE, metadata={"managed_by": "refresher/default", "job": "crm"})
    assert (await stage.rotate()).reason == "foreign"
    assert stage.stands()["access_token"] == "AT-1"


@pytest.mark.parametrize("mark", [{"job": "erp"}, {"managed_by": "refresher/blue"}])
async def test_another_jobs_or_instances_path_is_not_ours(mark):
    stage = Stage()
    stage.store.put(PLACE, ours(1) | mark)
    assert (await stage.later(hours=2)).reason == "unmanaged"


async def test_another_daemons_newer_token_is_taken_as_done():
    stage = Stage(token(1), token(2), token(3))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    stage.store.put(PLACE, ours(1, issued_at="2026-11-21T10:50:01Z", expires_at="2026-11-21T11:50:01Z"))

    ended = await stage.rotate()

    assert (ended.outcome, ended.reason) == ("fresh", "written_by_another")
    assert stage.stands()["access_token"] == "AT-other-1"
    assert (await stage.rotate()).outcome == "fresh"
    assert (await stage.later(minutes=50)).destinations == ((PLACE, 3),)
    assert stage.sink.told() == []


async def test_another_daemons_older_token_is_written_over_in_the_same_walk():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    stage.store.put(PLACE, ours(1, issued_at="2026-11-21T10:49:59Z"))

    ended = await stage.rotate()

    assert (ended.outcome, ended.destinations) == ("rotated", ((PLACE, 3),))
    assert stage.stands()["access_token"] == "AT-2"
    assert stage.sink.told() == []
    assert len(stage.http.requests) == 2


async def test_a_deleted_path_is_written_again_in_the_same_walk():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    stage.store.put(PLACE, ours(1))
    stage.store.delete(PLACE)

    ended = await stage.rotate()

    assert (ended.outcome, ended.destinations) == ("rotated", ((PLACE, 3),))
    assert stage.sink.told() == [("foreign_change", "deleted")]


async def test_a_path_that_keeps_changing_is_told_of_this_job_alone_and_no_token_is_lost():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    versions = iter(range(9))
    older = lambda: ours(next(versions), issued_at="2026-11-21T10:00:00Z")  # noqa: E731  # a word for the next line
    stage.store.before = lambda deed, place: stage.store.put(place, older()) if deed == "write" else None

    ended = await stage.rotate()

    assert (ended.outcome, ended.error, ended.store_down) == ("store_failed", "cas", False), "Vault is not away"
    assert stage.charge.unwritten is not None
    stage.store.before = lambda _deed, _place: None
    assert (await stage.later(seconds=1)).reason == "unwritten"
    assert stage.stands()["access_token"] == "AT-2"
    assert len(stage.http.requests) == 2


@pytest.mark.fault("F20")
@pytest.mark.parametrize("job", [replaceable(), refreshing()], ids=["replaceable", "irreplaceable"])
@pytest.mark.parametrize("seen_by", ["look", "walk"])
async def test_a_foreign_change_is_told_once_honoured_to_its_end_and_then_taken_over(job, seen_by):
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in range(1, 4)), job=job)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    stage.store.put(PLACE, strange("2026-11-21T13:00:00Z"))

    if seen_by == "look":
        await stage.look()
    for _ in range(2):
        assert (await stage.rotate()).outcome == "fresh"
        await stage.look()

    assert [dict(one.fields) for one in stage.sink.named("foreign_change")] == [
        {"path": "secret/tokens/crm", "version": 2, "honoured_until": "2026-11-21T13:00:00Z"}
    ]
    assert stage.stands()["access_token"] == "STRANGE"
    assert (await stage.later(hours=2, minutes=9, seconds=29)).outcome == "fresh"
    assert (await stage.later(seconds=1)).destinations == ((PLACE, 3),)
    assert stage.sink.named("foreign_change")[1:] == []


async def test_a_foreign_change_without_expiry_is_told_and_taken_over_at_once():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    stage.store.put(PLACE, STRANGE)

    await stage.look()
    ended = await stage.rotate()

    assert (ended.outcome, ended.reason) == ("rotated", "foreign")
    assert [one.level for one in stage.sink.named("foreign_change")] == ["error"]


async def test_a_foreign_change_on_a_mount_without_versions_is_told_once():
    stage = Stage(token(1), version=1)
    await stage.rotate()
    stage.store.shelves.clear()
    stage.store.put(PLACE, strange("2026-11-21T13:00:00Z"))
    for _ in range(3):
        await stage.look()
    assert len(stage.sink.named("foreign_change")) == 1


@pytest.mark.parametrize(
    "expiry",
    [
        {"expires_at": "0001-01-01T00:00:00Z"},  # how Go writes that there is no time
        {"expires_at_unix": "-62135596790"},
        {"expires_at": "1969-12-31T23:59:59Z", "issued_at": "9999-12-31T23:59:59Z"},
        {"expires_at": "tomorrow"},
        {"expires_at_unix": "9" * 40},
        {"expires_at": "2026-11-21T12:00:00"},
    ],
    ids=str,
)
async def test_a_strangers_expiry_that_is_no_time_counts_as_none(expiry):
    stage = Stage(token(1), token(2))
    await stage.rotate()
    stage.store.put(PLACE, {"access_token": "STRANGE"} | expiry)
    await stage.look()
    assert (await stage.rotate()).reason == "foreign"


async def test_a_strangers_token_that_ends_before_it_began_is_honoured_to_its_end_all_the_same():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    stage.store.put(PLACE, strange("2026-11-21T11:00:00Z") | {"issued_at": "2030-01-01T00:00:00Z"})
    await stage.look()
    assert (await stage.later(minutes=59, seconds=29)).outcome == "fresh"
    assert (await stage.later(seconds=1)).outcome == "rotated"


async def test_an_expiry_in_unix_seconds_is_honoured_too():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    stage.store.put(PLACE, {"expires_at_unix": str(int((NOW + HOUR * 3).timestamp()))})
    await stage.look()
    assert stage.charge.expires_at == NOW + HOUR * 3


async def test_our_own_mark_without_a_token_is_nothing_that_readers_could_use():
    stage = Stage(token(1))
    stage.store.put(PLACE, ours(1) | {"access_token": ""})
    assert (await stage.rotate()).reason == "missing"
    assert stage.stands()["access_token"] == "AT-1"


async def test_a_lost_check_and_set_on_the_state_record_costs_a_look_and_no_refresh_token():
    stage = Stage(token(1, refresh_token="RT-1"), job=refresh_only())
    races = [STATE]

    def before(deed, place):
        if deed == "write" and place in races:
            races.remove(place)
            stage.store.put(place, {"generation": "7"})

    stage.store.before = before

    assert (await stage.rotate()).outcome == "rotated"

    assert stage.stands(STATE)["refresh_token"] == "RT-1"
    assert stage.stands(STATE)["generation"] == "8"


async def test_a_state_record_that_keeps_changing_is_told_of_this_job_alone():
    stage = Stage(token(1, refresh_token="RT-1"), job=refresh_only())
    count = iter(range(99))
    stage.store.before = lambda deed, place: (
        stage.store.put(STATE, {"generation": str(next(count))})
        if (deed, place) == ("write", STATE) and stage.http.requests
        else None
    )

    ended = await stage.rotate()

    assert (ended.error, ended.store_down) == ("cas", False)
    assert stage.charge.unkept.reveal() == "RT-1"
    stage.store.before = lambda _deed, _place: None
    assert (await stage.later(seconds=1)).outcome == "rotated"
    assert stage.stands(STATE)["refresh_token"] == "RT-1"
    assert stage.grants() == ["RT-seed"]


@pytest.mark.parametrize("members", [{"generation": "x" * 9}, {"generation": "9" * 40}, {"refresh_token": ""}, {}])
async def test_a_state_record_that_cannot_be_read_counts_as_empty(members):
    stage = Stage(token(1, refresh_token="RT-1"), job=refresh_only())
    stage.store.put(STATE, members)
    assert (await stage.rotate()).outcome == "rotated"
    assert stage.grants() == ["RT-seed"]
    assert stage.stands(STATE)["generation"] == "1"


async def test_a_stranger_who_writes_in_between_is_no_reason_to_wait_for_a_clock_that_was_set_back():
    """What a refusal before the leap had put off is over with the grant, though its token can't be written."""
    stage = Stage(token(1), refused("temporarily_unavailable", 503), token(2), token(3))
    await stage.rotate()
    assert (await stage.later(hours=1)).outcome == "rejected_transient"
    stage.clock.jump(-2 * HOUR)
    strangers = [STRANGE]
    stage.store.before = lambda deed, place: (
        stage.store.put(place, strangers.pop()) if deed == "write" and strangers else None
    )
    ended = await stage.later(seconds=2)
    assert (ended.outcome, ended.reason) == ("fresh", "foreign")

    ended = await stage.later(seconds=2)

    assert (ended.outcome, ended.reason) == ("rotated", "foreign")
    assert stage.stands()["access_token"] == "AT-3"
