"""The way of one token, when all goes well: what is asked, in which order, and what readers find."""

from datetime import timedelta

import pytest

from refresher.core.model import Location
from refresher.core.policy import Held
from tests.core.builders import NOW, PLACE, STATE
from tests.fakes.http import lost
from tests.rotation.stage import Stage, refresh_only, refreshing, replaceable, token

SPARE = Location(mount="secret", path="tokens/crm-spare")


async def test_the_first_token_is_what_readers_are_promised():
    answer = token(scope="orders.read", id_token="ID-1", refresh_token="RT-1")
    stage = Stage(answer, job=replaceable(keep=("id_token",)))

    ended = await stage.rotate()

    assert stage.stands() == {
        "access_token": "AT-1",
        "token_type": "Bearer",
        "expires_at": "2026-11-21T11:00:00Z",
        "expires_at_unix": "1795258800",
        "issued_at": "2026-11-21T10:00:00Z",
        "scope": "orders.read",
        "job": "crm",
        "managed_by": "refresher/default",
        "id_token": "ID-1",
    }
    assert (ended.outcome, ended.reason, ended.expires_at) == ("rotated", "missing", NOW + timedelta(hours=1))
    assert NOW + timedelta(minutes=30) <= ended.renew_at < NOW + timedelta(minutes=50)
    assert ended.destinations == ((PLACE, 1),)
    assert stage.stands(STATE)["refresh_token"] == "RT-1"


async def test_a_token_without_expiry_is_kept_and_says_none():
    stage = Stage(token(lifetime=None))

    ended = await stage.rotate()

    assert not {"expires_at", "expires_at_unix"} & stage.stands().keys()
    assert (ended.expires_at, ended.renew_at) == (None, None)
    assert (await stage.later(days=400)).reason == "no_expiry"


async def test_the_jobs_lifetime_stands_in_for_one_that_the_provider_does_not_state():
    stage = Stage(token(lifetime=None), job=replaceable(lifetime=timedelta(minutes=7), scope=("a", "b")))

    await stage.rotate()

    assert stage.stands()["expires_at"] == "2026-11-21T10:07:00Z"
    assert stage.stands()["scope"] == "a b", "as asked, where the answer is silent (RFC 6749 section 5.1)"


async def test_a_replaceable_job_costs_one_request_and_one_write():
    stage = Stage(token(1), token(2), token(3))
    await stage.rotate()
    stage.deeds()

    for number in (2, 3):
        ended = await stage.later(minutes=50)
        assert (ended.outcome, ended.reason) == ("rotated", "due")
        assert stage.deeds() == ["write tokens/crm"]
        assert stage.stands()["access_token"] == f"AT-{number}"
    assert len(stage.http.requests) == 3


async def test_nothing_is_asked_while_nothing_is_due():
    stage = Stage(token())
    await stage.rotate()
    stage.deeds()

    ended = await stage.later(minutes=20)

    assert (ended.outcome, ended.reason, ended.well) == ("fresh", "due", True)
    assert stage.deeds() == []


async def test_force_asks_although_nothing_is_due():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    assert (await stage.rotate(force=True)).reason == "forced"
    assert stage.stands()["access_token"] == "AT-2"


async def test_what_a_process_knew_is_found_again_by_the_next():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    before = stage.charge.held
    stage.restart()

    assert (await stage.rotate()).outcome == "fresh"
    assert stage.charge.held == before == (Held(version=1, issued_at=NOW, expires_at=NOW + timedelta(hours=1)),)
    assert (await stage.later(minutes=50)).destinations == ((PLACE, 2),)


async def test_expiry_counts_from_when_the_request_was_sent():
    stage = Stage()

    class Slow:
        async def send(self, _request):
            await stage.clock.sleep(timedelta(seconds=9, microseconds=600))
            return token(lifetime=60)

    stage.rotation = stage.rotation_of(Slow())
    async with stage.walking():
        await stage.clock.advance(timedelta(seconds=10))

    assert stage.stands()["issued_at"] == "2026-11-21T10:00:00Z"
    assert stage.stands()["expires_at"] == "2026-11-21T10:01:00Z"
    assert stage.charge.last.duration_ms == 9001, "rounded"


async def test_a_refresh_proves_then_asks_then_keeps_then_writes():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    assert stage.deeds() == [
        "read tokens/crm",
        "read refresher/default/crm",
        "prove refresher/default/crm",
        "prove tokens/crm",
        "read refresher/default.journal",
        "write refresher/default.journal",
        "write refresher/default/crm",
        "write refresher/default/crm",
        "write tokens/crm",
    ]

    asked_with = []
    stage.http.steps.insert(0, lambda _request: (asked_with.extend(stage.deeds()), stage.http.steps.pop(0))[1])
    await stage.later(minutes=50)

    proven = ["prove refresher/default/crm", "prove tokens/crm", "write refresher/default/crm"]
    assert asked_with[-3:] == proven, "proven, and said, before anything is spent"
    assert stage.deeds() == ["write refresher/default/crm", "write tokens/crm"]
    assert stage.grants() == ["password", "RT-1"]


async def test_each_refresh_token_is_used_once_and_generations_count_up():
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in range(1, 5)), job=refreshing())
    for generation in range(1, 5):
        await stage.later(minutes=50)
        record = stage.stands(STATE)
        assert (record["generation"], record["refresh_token"]) == (str(generation), f"RT-{generation}")
        assert (record["job"], record["managed_by"]) == ("crm", "refresher/default")
        assert "RT-" not in str(stage.stands()), "a refresh token has no place where readers look"
    assert stage.grants() == ["password", "RT-1", "RT-2", "RT-3"]


async def test_a_refresh_token_outlives_the_process():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    stage.restart()
    await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1"]
    assert stage.stands(STATE)["generation"] == "2"


async def test_an_answer_without_a_refresh_token_keeps_the_old_one():
    stage = Stage(token(1, refresh_token="RT-1"), token(2), token(3), job=refreshing())
    for _ in range(3):
        await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1", "RT-1"]


async def test_a_refresh_token_that_does_not_change_is_of_the_same_generation():
    stage = Stage(*(token(n, refresh_token="RT-1") for n in range(1, 4)), job=refreshing())
    await stage.rotate()
    await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1"]
    assert stage.stands(STATE)["generation"] == "1"


async def test_a_job_of_refresh_tokens_alone_begins_with_the_one_it_was_given():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refresh_only())
    await stage.rotate()
    await stage.later(minutes=50)
    assert stage.grants() == ["RT-seed", "RT-1"]


async def test_a_refresh_token_that_no_grant_uses_is_kept_and_never_sent():
    """Screening Eagle hands one out, and documents no refresh grant."""
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in range(1, 4)))
    for number in range(1, 4):
        await stage.later(minutes=50)
        assert stage.stands(STATE)["refresh_token"] == f"RT-{number}"
    assert stage.grants() == ["client_credentials"] * 3


async def test_every_destination_gets_the_token():
    stage = Stage(token(1), token(2), job=replaceable(destinations=(PLACE, SPARE)))
    await stage.rotate()
    assert stage.stands() == stage.stands(SPARE)
    stage.deeds()

    ended = await stage.later(minutes=50)

    assert stage.deeds() == ["write tokens/crm", "write tokens/crm-spare"]
    assert ended.destinations == ((PLACE, 2), (SPARE, 2))


async def test_a_new_destination_gets_a_token_at_once():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    stage.reload(destinations=(PLACE, SPARE))
    assert (await stage.rotate()).reason == "missing"
    assert stage.stands(SPARE)["access_token"] == stage.stands()["access_token"] == "AT-2"


async def test_a_changed_configuration_fetches_another_token_by_the_full_grant():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    stage.reload(scope=("wider",))

    ended = await stage.rotate()

    assert ended.reason == "config_changed"
    assert stage.grants() == ["password", "password"], "a refresh would grant what was granted before"
    assert (await stage.rotate()).outcome == "fresh"


async def test_a_configuration_that_asks_for_the_same_fetches_nothing():
    stage = Stage(token())
    await stage.rotate()
    stage.reload(adopt=True)
    assert (await stage.rotate()).outcome == "fresh"


async def test_a_server_that_repeats_its_token_is_asked_again_shortly_before_its_end():
    stage = Stage(token(1, 60), token(1, 14), token(1, 5), token(2, 60))
    for wait in (0, 46):
        await stage.later(seconds=wait)
    assert stage.charge.unchanged
    assert (await stage.later(seconds=8)).reason == "unchanged"
    assert (await stage.later(seconds=1)).outcome == "rotated"
    assert (await stage.later(seconds=1)).outcome == "fresh"
    assert (await stage.later(seconds=1)).outcome == "rotated"
    assert stage.stands()["access_token"] == "AT-2"
    assert not stage.charge.unchanged


async def test_the_event_of_a_rotation_says_all_but_the_token():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    await stage.later(minutes=50)

    first, second = stage.sink.events

    assert {one.name for one in stage.sink.events} == {"rotated"}
    assert dict(second.fields) | {"fingerprint": "", "renew_at": ""} == {
        "outcome": "rotated",
        "reason": "due",
        "expires_at": "2026-11-21T11:50:00Z",
        "renew_at": "",
        "duration_ms": 0,
        "path": "secret/tokens/crm",
        "provider": "oauth2",
        "attempt": 2,
        "grant": "client_credentials",
        "version_before": 1,
        "version": 2,
        "lifetime_s": 3600,
        "fingerprint": "",
    }
    assert first.fields["fingerprint"] != second.fields["fingerprint"]
    assert "version_before" not in first.fields or first.fields["version_before"] == 0


async def test_a_request_without_an_answer_is_made_again_later():
    stage = Stage(lost(), token())
    assert (await stage.rotate()).outcome == "rejected_transient"
    assert (await stage.rotate()).reason == "backoff"
    assert (await stage.later(seconds=1)).outcome == "rotated"


async def test_a_request_that_met_a_dead_connection_is_made_once_more_on_its_own():
    stage = Stage(lost(stale=True), token())
    outcome = await stage.rotate()

    assert outcome.outcome == "rotated"
    assert [request.repeatable for request in stage.http.requests] == [True, False]
    assert stage.sink.told("warning", "error") == []


async def test_a_request_is_made_once_more_and_no_more():
    stage = Stage(lost(stale=True), lost(stale=True))
    outcome = await stage.rotate()

    assert (outcome.outcome, len(stage.http.requests)) == ("rejected_transient", 2)


@pytest.mark.parametrize("job", [refreshing(), refresh_only(), replaceable(revokes_previous=True)])
async def test_what_may_be_spent_has_a_connection_of_its_own_and_is_not_sent_again(job):
    stage = Stage(lost(stale=True), job=job)
    await stage.rotate()

    assert [request.repeatable for request in stage.http.requests] == [False]


async def test_what_is_signed_is_signed_anew_for_the_second_request():
    stage = Stage(lost(stale=True), token(), job=replaceable(client_auth="client_secret_jwt"))
    await stage.rotate()

    first, second = (form["client_assertion"] for form in stage.sent())
    assert first != second
