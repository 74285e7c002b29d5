"""What a provider refuses: which grant is tried next, what is never sent again, and what is said about it."""

from contextlib import suppress
from datetime import timedelta

import pytest

from refresher.standing import state_of
from tests.core.builders import PLACE, STATE
from tests.fakes.http import answer, lost
from tests.rotation.stage import PASSWORD, SECRET, SEED, Stage, refresh_only, refreshing, refused, replaceable, token

DAYS = timedelta(days=3)


def with_record(*steps, **changes) -> Stage:
    """A job that has got token 1 and refresh token RT-1, and is due."""
    return Stage(token(1, refresh_token="RT-1"), *steps, job=refreshing(**changes))


async def test_a_refused_refresh_token_is_followed_by_one_full_grant_in_the_same_walk():
    stage = with_record(refused("invalid_grant"), token(2, refresh_token="RT-2"), token(3))
    await stage.rotate()

    assert (await stage.later(minutes=50)).outcome == "rotated"
    await stage.later(minutes=50)

    assert stage.grants() == ["password", "RT-1", "password", "RT-2"]
    assert stage.sink.told() == []


@pytest.mark.parametrize("second", [refused("temporarily_unavailable", 503), lost(), answer(200, b"<html>")])
async def test_a_refused_refresh_token_is_never_sent_again(second):
    stage = with_record(refused("invalid_grant"), second, token(2), token(3))
    await stage.rotate()
    await stage.later(minutes=50)
    await stage.later(minutes=5)
    await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1", "password", "password", "password"]


async def test_an_empty_refusal_of_a_refresh_token_counts_too():
    """Seen on a real server: 400 with no body."""
    stage = with_record(answer(400), token(2))
    await stage.rotate()
    assert (await stage.later(minutes=50)).outcome == "rotated"


async def test_a_refresh_that_is_told_to_wait_is_made_again_and_no_password_is_sent():
    stage = with_record(answer(503), token(2))
    await stage.rotate()
    await stage.later(minutes=50)
    await stage.later(seconds=1)
    assert stage.grants() == ["password", "RT-1", "RT-1"]


@pytest.mark.parametrize("error", ["insufficient_scope", "unsupported_token_type", "access_token"])
async def test_a_refresh_token_that_came_with_a_useless_answer_is_kept(error):
    useless = {
        "insufficient_scope": token(2, scope="less", refresh_token="RT-2"),
        "unsupported_token_type": token(2, token_type="mac", refresh_token="RT-2"),
        "access_token": token("\n", refresh_token="RT-2"),
    }[error]
    stage = with_record(useless, *([] if error == "access_token" else [answer(503)]), require_scope=("all",))
    stage.http.steps[0] = token(1, refresh_token="RT-1", scope="all")
    await stage.rotate()

    ended = await stage.later(minutes=50)

    assert not ended.well
    assert stage.stands(STATE)["refresh_token"] == "RT-2"
    assert stage.stands()["access_token"] == "AT-1"


@pytest.mark.fault("F35")
async def test_a_wrong_client_secret_is_told_once_and_tried_again_slowly():
    stage = Stage(*[refused("invalid_client", 401)] * 9)
    for _ in range(60):
        await stage.later(minutes=1)
    assert stage.sink.told() == [("latched", "invalid_client")]
    assert len(stage.http.requests) == 4, "a quarter of an hour lies between two tries while readers hold nothing"
    alert = stage.sink.named("latched")[0]
    assert (alert.level, alert.fields["http_status"], alert.fields["provider"]) == ("error", 401, "oauth2")


async def test_a_wrong_client_secret_is_tried_more_often_while_readers_lose_their_token():
    stage = Stage(token(1, 3600), *[refused("invalid_client", 401)] * 30)
    await stage.rotate()
    tries = []
    for minute in range(60):
        before = len(stage.http.requests)
        await stage.later(minutes=1)
        tries += [minute] * (len(stage.http.requests) - before)
    assert 4 <= len(tries) <= 10


@pytest.mark.parametrize("job", [replaceable(), refreshing(), refresh_only()], ids=["client", "password", "refresh"])
async def test_a_mended_secret_opens_the_latch_at_once(job):
    stage = Stage(refused("invalid_client", 401), token(1), job=job)
    await stage.rotate()
    assert state_of(stage.charge, stage.clock.now(), "holder-1") == "latched"
    stage.references.texts[str(SECRET)] = "mended"

    assert (await stage.rotate()).outcome == "rotated"

    assert [one.name for one in stage.sink.events] == ["latched", "recovered", "rotated"]


@pytest.mark.parametrize(
    ("job", "reference"), [(refreshing(), PASSWORD), (refresh_only(), SEED)], ids=["password", "refresh token"]
)
async def test_what_was_refused_is_not_sent_again_until_it_changes(job, reference):
    stage = Stage(refused("invalid_grant"), token(1, refresh_token="RT-1"), job=job)
    await stage.rotate()

    for _ in range(3):
        ended = await stage.later(days=1)
        assert (ended.outcome, ended.reason, ended.error) == ("halted", "latched", "invalid_grant")
    await stage.look()
    assert len(stage.http.requests) == 1
    assert stage.sink.told() == [("latched", "invalid_grant")]

    stage.references.texts[str(reference)] = "another"
    assert (await stage.rotate()).outcome == "rotated"
    assert stage.sent()[1].get("password", stage.sent()[1].get("refresh_token")) == "another"


@pytest.mark.parametrize("trouble", ["unreadable", "away", "denied", "crash"])
async def test_other_troubles_do_not_open_a_latch(trouble):
    stage = Stage(refused("invalid_grant"), job=refreshing())
    await stage.rotate()
    texts = dict(stage.references.texts)

    match trouble:
        case "unreadable":
            stage.references.texts.clear()
        case "away":
            stage.store.away = True
        case "denied":
            stage.store.denied = {PLACE.path}
        case "crash":
            stage.store.before = lambda _deed, _place: 1 / 0
    for _ in range(3):
        await stage.clock.advance(timedelta(minutes=10))
        with suppress(ZeroDivisionError):
            await stage.rotate()
    stage.references.texts, stage.store.away, stage.store.denied = texts, False, set()
    stage.store.before = lambda _deed, _place: None

    for _ in range(3):
        assert (await stage.later(minutes=10)).reason == "latched"
    assert len(stage.http.requests) == 1


@pytest.mark.parametrize("job", [refreshing(), refresh_only()], ids=["password", "refresh token"])
async def test_a_changed_configuration_opens_the_latch(job):
    stage = Stage(refused("invalid_grant"), token(1), job=job)
    await stage.rotate()
    stage.reload(token_url="https://right.example.com/token")

    assert (await stage.rotate()).outcome == "rotated"

    assert stage.http.requests[1].url == "https://right.example.com/token"


async def test_another_refresh_token_to_begin_with_takes_the_place_of_a_refused_one():
    """As a person's new consent puts it where jobs.toml points to: the refused one may belong to the same family."""
    stage = Stage(token(1, refresh_token="RT-1"), refused("invalid_grant"), token(2), job=refresh_only())
    await stage.rotate()
    assert (await stage.rotate(force=True)).outcome == "rejected_permanent"
    stage.references.texts[str(SEED)] = "RT-new"

    assert (await stage.rotate(force=True)).outcome == "rotated"

    assert stage.grants() == ["RT-seed", "RT-1", "RT-new"]


async def test_a_mended_client_secret_has_the_held_refresh_token_sent_again_and_not_the_first_one():
    stage = Stage(token(1, refresh_token="RT-1"), refused("invalid_grant"), token(2), job=refresh_only())
    await stage.rotate()
    await stage.rotate(force=True)
    stage.references.texts[str(SECRET)] = "another"

    assert (await stage.rotate(force=True)).outcome == "rotated"

    assert stage.grants() == ["RT-seed", "RT-1", "RT-1"]


@pytest.mark.parametrize("held", [None, "RT-dead"])
async def test_a_refresh_token_that_somebody_puts_into_the_state_record_opens_the_latch(held):
    """As `refresher authorize` does beside a running daemon."""
    refusals = [refused("invalid_grant")] if held else []
    stage = Stage(*refusals, token(1, refresh_token="RT-2"), job=refresh_only(refresh_token=None))
    if held is not None:
        stage.store.put(STATE, {"refresh_token": held, "generation": "3"})
    await stage.rotate()
    assert (await stage.rotate()).reason == "latched"
    stage.store.put(STATE, {"refresh_token": "RT-1", "generation": "4"})

    assert (await stage.rotate()).outcome == "rotated"

    assert stage.grants()[-1] == "RT-1"
    assert [one.name for one in stage.sink.events] == ["latched", "recovered", "rotated"]


async def test_a_refresh_token_that_comes_with_a_refusal_does_not_open_the_latch_that_it_makes():
    narrow = token(1, scope="read", refresh_token="RT-2")
    stage = Stage(narrow, job=refresh_only(scope=("read", "write"), require_scope=("write",)))
    assert (await stage.rotate()).error == "insufficient_scope"

    for _ in range(3):
        assert (await stage.later(minutes=20)).reason == "latched"

    assert stage.stands(STATE)["refresh_token"] == "RT-2"


async def test_a_job_of_refresh_tokens_alone_without_one_asks_for_it():
    stage = Stage(refused("invalid_grant"), job=refresh_only(refresh_token=None))

    ended = await stage.rotate()

    assert (ended.outcome, ended.error) == ("rejected_permanent", "no_refresh_token")
    assert not stage.http.requests
    assert stage.sink.told() == [("latched", "no_refresh_token")]


@pytest.mark.fault("F34")
async def test_transient_failures_are_told_once_then_whispered_and_recovery_is_told():
    stage = Stage(answer(503), lost(), answer(503), lost(), token())
    while (await stage.rotate()).outcome != "rotated":
        await stage.clock.advance(timedelta(minutes=5))

    assert stage.sink.told() == [("failing", "http_503")]
    assert stage.sink.told("debug") == [
        ("rotation_rejected", "transport"),
        ("rotation_rejected", "http_503"),
        ("rotation_rejected", "transport"),
    ]
    recovered = stage.sink.named("recovered")[0]
    assert (recovered.fields["failures"], recovered.fields["since"]) == (4, "2026-11-21T10:00:00Z")
    assert [one.name for one in stage.sink.events][-2:] == ["recovered", "rotated"]


async def test_malformed_answers_are_an_alert_at_the_third():
    stage = Stage(*[answer(200, b"<html>")] * 5, token())
    while (await stage.rotate()).outcome != "rotated":
        await stage.clock.advance(timedelta(minutes=5))
    assert [(one.name, one.level) for one in stage.sink.events] == [
        ("rotation_rejected", "warning"),
        ("rotation_rejected", "debug"),
        ("failing", "error"),
        ("rotation_rejected", "debug"),
        ("rotation_rejected", "debug"),
        ("recovered", "info"),
        ("rotated", "info"),
    ]


@pytest.mark.fault("F36")
async def test_a_wait_that_the_provider_asks_for_is_kept_to_and_told():
    stage = Stage(answer(429, retry_after="1800"), token())
    ended = await stage.rotate()
    assert (ended.outcome, ended.http_status, ended.retry_after) == ("rejected_transient", 429, 1800)
    assert (await stage.later(minutes=29, seconds=59)).reason == "backoff"
    assert (await stage.later(seconds=1)).outcome == "rotated"


async def test_a_vault_that_is_away_meanwhile_shortens_no_wait():
    stage = Stage(answer(429, retry_after="1800"), token())
    await stage.rotate()
    stage.store.away = True
    assert (await stage.look()).store_down
    stage.store.away = False
    assert (await stage.later(minutes=29, seconds=59)).reason == "backoff"
    assert (await stage.later(seconds=1)).outcome == "rotated"


@pytest.mark.parametrize("job", [replaceable(), refreshing(), refresh_only()], ids=["client", "password", "refresh"])
async def test_an_unreadable_reference_spends_nothing_is_told_once_and_recovers(job):
    stage = Stage(token(), job=job)
    texts, stage.references.texts = stage.references.texts, {}

    for _ in range(3):
        ended = await stage.later(minutes=5)
        assert (ended.outcome, ended.error, ended.store_down) == ("store_failed", "secret_unreadable", False)
    assert not stage.http.requests
    assert stage.sink.told() == [("store_failed", "secret_unreadable")]

    stage.references.texts = texts
    assert (await stage.later(minutes=5)).outcome == "rotated"
    assert [one.name for one in stage.sink.events][-2:] == ["recovered", "rotated"]
