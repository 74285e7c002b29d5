"""A token is tried before it is published: what withholds it, what does not, and what is kept all the same."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from refresher.core.errors import StoreUnavailableError, UnreadableReferenceError
from refresher.core.job import Shape, Verify
from tests.core.builders import STATE
from tests.fakes.clock import settle
from tests.fakes.http import answer, lost
from tests.rotation.stage import SECRET, Stage, refreshing, replaceable, token

API = Shape(verify=Verify(url="https://crm.example.com/api/me", status=204))
ASK = Shape(verify=Verify(url="https://id.example.com/introspect", introspect=True))
ISSUER = "https://id.example.com"
TAKEN = {"api": answer(204), "introspection": answer(200, {"active": True})}
REFUSALS = {
    "401": (API, answer(401)),
    "403": (API, answer(403, b"<html>")),
    "inactive": (ASK, answer(200, {"active": False})),
}
NO_ANSWERS = {
    "not the status": (API, answer(200)),
    "not found": (API, answer(404)),
    "redirect": (API, answer(302, location="https://elsewhere.example.com/")),
    "server error": (API, answer(500)),
    "away": (API, lost()),
    "unreadable certificate": (API, UnreadableReferenceError("cert_file /c", "there is no such file")),
    "the client is not known": (ASK, answer(401, {"error": "invalid_client"})),
    "forbidden to ask": (ASK, answer(403, {"active": False})),
    "no JSON": (ASK, answer(200, b"<html>")),
    "says nothing": (ASK, answer(200, {"active": "false"})),
    "states it twice": (ASK, answer(200, b'{"active": false, "active": false}')),
}


async def rotate(stage):
    """Walk, letting time pass while it waits; return how it ended and the seconds that it took."""
    began = stage.clock.monotonic()
    async with asyncio.TaskGroup() as group:
        walk = group.create_task(stage.rotate())
        await settle()
        while not walk.done():
            await stage.clock.advance(timedelta(seconds=0.5))
    return walk.result(), stage.clock.monotonic() - began


async def test_a_token_that_works_is_published_and_told_as_verified():
    stage = Stage(token(1), TAKEN["api"], job=replaceable(shape=API))

    ended = await stage.rotate()

    (event,) = stage.sink.named("rotated")
    call = stage.http.requests[1]
    assert (ended.outcome, event.fields["verified"]) == ("rotated", True)
    assert (call.method, call.url, call.body) == ("GET", API.verify.url, b"")
    assert dict(call.headers) == {"Authorization": "Bearer AT-1"}


async def test_introspection_asks_as_the_client_does():
    stage = Stage(token(1), TAKEN["introspection"], job=replaceable(shape=ASK))

    ended = await stage.rotate()

    asked, tried = stage.http.requests
    form = dict(parse_qsl(tried.body.decode()))
    assert ended.outcome == "rotated"
    assert (tried.method, tried.url) == ("POST", ASK.verify.url)
    assert form == {"token": "AT-1", "token_type_hint": "access_token"}
    assert dict(tried.headers)["Authorization"] == dict(asked.headers)["Authorization"]


async def test_introspection_by_post_carries_the_secret_in_the_form():
    stage = Stage(token(1), TAKEN["introspection"], job=replaceable(shape=ASK, client_auth="post"))

    await stage.rotate()

    form = dict(parse_qsl(stage.http.requests[1].body.decode()))
    assert form == {
        "token": "AT-1",
        "token_type_hint": "access_token",
        "client_id": "acme",
        "client_secret": "client-secret",
    }


async def test_the_issuer_leads_to_introspection():
    members = {"token_endpoint": "https://id.example.com/token", "introspection_endpoint": "https://id.example.com/i"}
    shape = Shape(issuer=ISSUER, verify=Verify(url="", introspect=True))
    stage = Stage(
        answer(200, {"issuer": ISSUER} | members),
        token(1),
        TAKEN["introspection"],
        job=replaceable(token_url="", shape=shape),
    )

    await stage.rotate()

    assert stage.http.asked[1:] == ["POST /token", "POST /i"]
    assert stage.sink.named("rotated")[0].fields["verified"] is True


async def test_an_issuer_without_introspection_withholds_nothing():
    shape = Shape(issuer=ISSUER, verify=Verify(url="", introspect=True))
    metadata = answer(200, {"issuer": ISSUER, "token_endpoint": "https://id.example.com/token"})
    stage = Stage(metadata, token(1), job=replaceable(token_url="", shape=shape))

    await stage.rotate()

    assert stage.sink.named("rotated")[0].fields["verified"] is False


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_a_verifier_that_can_not_say_withholds_nothing(name):
    shape, no_answer = NO_ANSWERS[name]
    stage = Stage(token(1), no_answer, job=replaceable(shape=shape))

    ended, _ = await rotate(stage)

    assert ended.outcome == "rotated"
    assert stage.stands()["access_token"] == "AT-1"
    assert stage.sink.named("rotated")[0].fields["verified"] is False
    assert len(stage.http.requests) == 2


async def test_a_secret_that_can_not_be_read_any_more_withholds_nothing():
    stage = Stage(job=replaceable(shape=ASK))

    def issue(_request):
        del stage.references.texts[str(SECRET)]
        return token(1)

    stage.http.steps = [issue]
    ended = await stage.rotate()

    assert (ended.outcome, stage.sink.named("rotated")[0].fields["verified"]) == ("rotated", False)


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_token_that_is_refused_again_and_again_replaces_nothing(name):
    shape, refusal = REFUSALS[name]
    taken = TAKEN["introspection" if shape is ASK else "api"]
    stage = Stage(token(1), taken, token(2), *[refusal] * 4, job=replaceable(shape=shape))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))

    ended, seconds = await rotate(stage)

    assert (ended.outcome, ended.error, seconds) == ("rejected_transient", "verify_refused", 3.5)
    assert ended.host_answered, "the token endpoint is well"
    assert stage.stands()["access_token"] == "AT-1"
    assert stage.http.steps == []
    assert stage.sink.told() == [("failing", "verify_refused")]


async def test_the_refusal_says_what_was_refused_where_and_never_the_token():
    stage = Stage(token(1), *[answer(401)] * 4, job=replaceable(shape=API))

    await rotate(stage)

    (event,) = stage.sink.named("failing")
    assert event.fields["why"] == (
        "verify_refused: the new token is refused at https://crm.example.com/api/me; it is not published, and another "
        "one is asked for"
    )
    assert "AT-1" not in stage.sink.text()


@pytest.mark.parametrize("refusals", [1, 2, 3])
async def test_a_token_that_becomes_known_in_time_is_published(refusals):
    stage = Stage(token(1), *[answer(401)] * refusals, TAKEN["api"], job=replaceable(shape=API))

    ended, seconds = await rotate(stage)

    assert (ended.outcome, seconds) == ("rotated", [0.5, 1.5, 3.5][refusals - 1])
    assert stage.sink.named("rotated")[0].fields["verified"] is True


async def test_a_refusal_that_is_followed_by_no_answer_withholds_nothing():
    stage = Stage(token(1), answer(401), lost(), job=replaceable(shape=API))

    ended, _ = await rotate(stage)

    assert (ended.outcome, stage.sink.named("rotated")[0].fields["verified"]) == ("rotated", False)


async def test_a_refused_token_is_asked_for_again_after_the_backoff_and_told_once():
    refused = [answer(403)] * 4
    stage = Stage(token(1), *refused, token(2), *refused, token(3), TAKEN["api"], job=replaceable(shape=API))
    await rotate(stage)
    waits = []
    for _ in range(2):
        waits.append(stage.charge.trouble.retry_at - stage.clock.now())
        await stage.clock.advance(waits[-1])
        await rotate(stage)

    assert timedelta() < waits[0] < waits[1] < timedelta(seconds=5)
    assert stage.sink.told() == [("failing", "verify_refused")]
    assert [event.fields["failures"] for event in stage.sink.named("recovered")] == [2]
    assert stage.stands()["access_token"] == "AT-3"


async def test_a_new_refresh_token_is_kept_before_the_access_token_is_tried():
    kept = []
    stage = Stage(job=refreshing(shape=API))

    def refuse(_request):
        kept.append(stage.stands(STATE)["refresh_token"])
        return answer(401)

    stage.http.steps = [token(1, refresh_token="RT-1"), *[refuse] * 4, token(2, refresh_token="RT-2"), TAKEN["api"]]
    await rotate(stage)
    await stage.clock.advance(timedelta(seconds=10))
    await rotate(stage)

    assert kept == ["RT-1"] * 4
    grants = [form.get("refresh_token", form["grant_type"]) for form in stage.sent() if form]
    assert grants == ["password", "RT-1"]
    assert stage.stands()["access_token"] == "AT-2"


async def test_what_was_tried_is_not_tried_again_when_vault_comes_back():
    stage = Stage(token(1), TAKEN["api"], job=replaceable(shape=API))

    def away(deed, _place):
        if deed == "write":
            raise StoreUnavailableError("sealed", "Vault is sealed")

    stage.store.before = away
    await stage.rotate()
    stage.store.before = lambda _deed, _place: None
    ended = await stage.later(seconds=10)

    assert ended.outcome == "rotated"
    assert stage.sink.named("rotated")[0].fields["verified"] is True


async def test_a_token_in_hand_is_tried_before_it_is_written_late():
    stage = Stage(token(1, refresh_token="RT-1"), *[answer(401)] * 4, job=refreshing(shape=API))

    def away(deed, place):
        if deed == "write" and place == STATE and stage.http.requests:
            raise StoreUnavailableError("sealed", "Vault is sealed")

    stage.store.before = away
    await stage.rotate()
    assert stage.charge.pending
    stage.store.before = lambda _deed, _place: None
    await stage.clock.advance(timedelta(seconds=10))
    ended, _ = await rotate(stage)

    assert ended.error == "verify_refused"
    assert (stage.stands(), stage.stands(STATE)["refresh_token"]) == (None, "RT-1")
    assert not stage.charge.pending


async def test_a_job_without_verify_is_not_tried():
    stage = Stage(token(1))

    await stage.rotate()

    assert len(stage.http.requests) == 1
    assert "verified" not in stage.sink.named("rotated")[0].fields
