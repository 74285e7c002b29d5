"""What Vault, or somebody, deletes at our paths is told once, and made good."""

from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.core.model import Found, Location, Written
from tests.core.builders import NOW, PLACE, STATE
from tests.rotation.stage import Stage, refresh_only, refreshing, refused, replaceable, token

HOUR = timedelta(hours=1)
PATHS = {PLACE: "secret/tokens/crm", STATE: "secret/refresher/default/crm"}


class Deleting:
    """A store whose mount deletes each version of some places after `span`."""

    def __init__(self, stage: Stage, span: timedelta, *places: Location) -> None:
        self.stage, self.store, self.span = stage, stage.store, span
        self.places = places or (PLACE, STATE)
        self.ends = {}

    async def write(self, place, data, *, cas):
        written = await self.store.write(place, data, cas=cas)
        self.ends[place] = self.stage.clock.now() + self.span if place in self.places else None
        return Written(version=written.version, deletion_time=self.ends[place])

    async def read(self, place):
        if (ends := self.ends.get(place)) is not None and self.stage.clock.now() >= ends and self.store.stands(place):
            self.store.delete(place)
        found = await self.store.read(place)
        return replace(found, deletion_time=ends) if isinstance(found, Found) else found

    async def prove(self, place):
        await self.store.prove(place)


def told(stage: Stage) -> list[str]:
    return [one.fields["path"] for one in stage.sink.named("store_failed") if one.fields["error"] == "deleted_early"]


@pytest.mark.parametrize("job", [replaceable(), refreshing()], ids=["replaceable", "irreplaceable"])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_token_that_vault_will_delete_early_is_told_once_and_renewed_before(job, restart):
    more = [{"refresh_token": f"RT-{number}"} if job.irreplaceable else {} for number in range(1, 5)]
    stage = Stage(*(token(number, **words) for number, words in enumerate(more, start=1)), job=job)
    stage.stores[""] = Deleting(stage, timedelta(minutes=20))

    ended = await stage.rotate()

    assert ended.expires_at == NOW + timedelta(minutes=20)
    assert told(stage) == ([PATHS[STATE]] if job.irreplaceable else []) + [PATHS[PLACE]]
    if restart:
        stage.restart()
    assert (await stage.later(minutes=9)).outcome == "fresh"
    for _ in range(3):
        assert (await stage.later(minutes=8)).outcome in ("rotated", "fresh")
    assert stage.charge.versions[0] >= 2
    assert len(told(stage)) == (2 if job.irreplaceable else 1), "not once for each write"


async def test_a_version_that_outlives_its_token_is_nothing_to_tell():
    stage = Stage(token(1))
    stage.stores[""] = Deleting(stage, timedelta(hours=2))
    assert (await stage.rotate()).expires_at == NOW + HOUR
    assert stage.sink.told() == []


@pytest.mark.parametrize("restart", [False, True])
async def test_a_state_record_that_vault_will_delete_is_told_and_written_anew_in_half_of_its_time(restart):
    stage = Stage(*(token(number, 86400, refresh_token=f"RT-{number}") for number in range(1, 9)), job=refresh_only())
    stage.stores[""] = Deleting(stage, HOUR, STATE)
    await stage.rotate()
    (one,) = stage.sink.named("store_failed")
    assert (one.level, one.fields["path"], one.fields["deletion_time"]) == (
        "error",
        PATHS[STATE],
        "2026-11-21T11:00:00Z",
    )
    assert "refresh token" in one.fields["why"]

    if restart:
        stage.restart()
    assert (await stage.later(minutes=29)).outcome == "fresh"
    ended = await stage.later(minutes=1)
    assert (ended.outcome, ended.reason) == ("rotated", "doomed")
    for _ in range(6):
        await stage.later(minutes=30)
    assert stage.stands(STATE)["refresh_token"] == "RT-8", "it never came to its end"
    assert len(told(stage)) == 1


async def test_a_state_record_that_may_stay_again_is_news_when_it_may_not_once_more():
    stage = Stage(*(token(number, refresh_token=f"RT-{number}") for number in range(1, 4)), job=refreshing())
    stage.stores[""] = store = Deleting(stage, 2 * HOUR, STATE)
    for places in ((STATE,), (), (STATE,)):
        store.places = places
        await stage.later(minutes=50)
    assert told(stage) == [PATHS[STATE]] * 2


async def test_a_refused_provider_does_not_let_the_state_record_die():
    """Each try writes the intent, and so the record, anew."""
    stage = Stage(token(1, refresh_token="RT-1"), *[refused("x", 503)] * 99, job=refresh_only())
    stage.stores[""] = Deleting(stage, timedelta(minutes=20), STATE)
    await stage.rotate()
    for _ in range(40):
        await stage.later(minutes=3)
    assert stage.stands(STATE)["refresh_token"] == "RT-1"


@pytest.mark.parametrize("job", [replaceable(), refreshing()], ids=["replaceable", "irreplaceable"])
@pytest.mark.parametrize("seen_by", ["look", "write"])
async def test_a_token_that_somebody_deletes_is_told_once_and_renewed(job, seen_by):
    stage = Stage(*(token(number, refresh_token=f"RT-{number}") for number in range(1, 4)), job=job)
    await stage.rotate()
    del stage.store.shelves[PLACE.mount, PLACE.path]  # versions, metadata and all
    if seen_by == "look":
        await stage.look()
        await stage.look()
        await stage.later(seconds=31)
    else:
        await stage.later(minutes=50)
    (one,) = stage.sink.named("foreign_change")
    assert (one.level, one.fields["error"], one.fields["path"]) == ("error", "deleted", PATHS[PLACE])
    assert stage.stands()["access_token"] == "AT-2"


async def test_a_token_that_was_deleted_at_its_end_is_nobodys_deed():
    stage = Stage(token(1), *[refused("x", 503)] * 9, job=replaceable())
    await stage.rotate()
    await stage.later(minutes=50)
    await stage.clock.advance(timedelta(minutes=11))
    stage.store.delete(PLACE)
    await stage.look()
    assert stage.sink.named("foreign_change") == []
