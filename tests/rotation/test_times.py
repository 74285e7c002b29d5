"""When a job is renewed besides its token's expiry: by calendar, age, the provider's hint, a refresh token's disuse."""

from datetime import timedelta

import pytest

from refresher.core.job import Times
from refresher.scheduler.cron import CronCalendar
from tests.core.builders import NOW
from tests.rotation.stage import Stage, refresh_only, replaceable, token

HOUR = timedelta(hours=1)  # the virtual clock begins at 10:00


class TimedStage(Stage):
    def rotation_of(self, http):
        rotation = super().rotation_of(http)
        rotation._look._calendar = CronCalendar()
        return rotation


@pytest.mark.parametrize("lifetime", [None, 30 * 86_400])
async def test_a_calendar_changes_what_does_not_expire_but_should_change(lifetime):
    job = replaceable(times=Times(schedule="0 3 * * *", timezone="Europe/Amsterdam"))
    stage = TimedStage(token(1, lifetime), token(2, lifetime), job=job)
    first = await stage.rotate()
    assert first.renew_at == NOW + 16 * HOUR, "03:00 in Amsterdam in winter is 02:00 UTC"

    assert (await stage.later(hours=15, minutes=59)).outcome == "fresh"
    ended = await stage.later(minutes=1)

    assert (ended.outcome, ended.reason) == ("rotated", "schedule")
    assert ended.renew_at == NOW + 40 * HOUR


@pytest.mark.fault("F28")
async def test_a_restart_keeps_the_calendar():
    stage = TimedStage(token(lifetime=None), job=replaceable(times=Times(schedule="0 3 * * *")))
    await stage.rotate()
    stage.restart()
    assert (await stage.look()).renew_at == NOW + 17 * HOUR


async def test_what_may_live_longer_is_renewed_at_its_greatest_age():
    stage = TimedStage(token(1, 86_400), token(2, 86_400), job=replaceable(times=Times(max_age=2 * HOUR)))
    assert (await stage.rotate()).renew_at == NOW + 2 * HOUR
    assert (await stage.later(hours=2)).reason == "max_age"


async def test_a_hint_of_the_provider_is_followed_once():
    stage = TimedStage(token(1, 86_400, refresh_in=3600), token(2, 86_400))
    assert (await stage.rotate()).renew_at == NOW + HOUR
    ended = await stage.later(hours=1)
    assert ended.reason == "hint"
    assert ended.renew_at > NOW + 12 * HOUR, "the next answer gave no hint"


async def test_a_refresh_token_that_dies_of_disuse_is_used_in_time():
    job = refresh_only(times=Times(refresh_every=24 * HOUR))
    steps = [token(number, 30 * 86_400, refresh_token=f"RT-{number}") for number in (1, 2, 3)]
    stage = TimedStage(*steps, job=job)
    assert (await stage.rotate()).renew_at == NOW + 24 * HOUR
    stage.restart()
    assert (await stage.look()).renew_at == NOW + 24 * HOUR, "when it was used can be seen in Vault"
    assert (await stage.later(hours=24)).reason == "keep_alive"
    assert stage.grants() == ["RT-seed", "RT-1"]


async def test_a_refresh_token_that_is_not_rotated_is_kept_alive_all_the_same():
    job = refresh_only(times=Times(refresh_every=24 * HOUR))
    steps = [token(1, 30 * 86_400, refresh_token="RT-1"), token(2, 30 * 86_400), token(3, 30 * 86_400)]
    stage = TimedStage(*steps, job=job)
    await stage.rotate()
    assert (await stage.later(hours=24)).reason == "keep_alive"
    assert (await stage.later(hours=1)).outcome == "fresh", "it was just used"
    assert (await stage.later(hours=23)).reason == "keep_alive"
