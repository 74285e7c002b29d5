"""The token endpoint by discovery: one look-up for all jobs of an issuer, again when it seems to have moved."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from refresher.core.errors import TransportError
from refresher.core.job import Shape
from refresher.core.model import Channel
from refresher.discovery import Discovery
from tests.core.builders import a_job
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer, lost
from tests.rotation.stage import Stage, refused, replaceable, token

ISSUER = "https://id.example.com/acme"
BY_OAUTH = "GET /.well-known/oauth-authorization-server/acme"
BY_OPENID = "GET /acme/.well-known/openid-configuration"
JOB = a_job(token_url="", shape=Shape(issuer=ISSUER))


def metadata(endpoint="https://tokens.example.com/token"):
    return answer(200, {"issuer": ISSUER, "token_endpoint": endpoint})


class Lookups:
    """A Discovery on fakes."""

    def __init__(self, *steps):
        self.clock, self.http = VirtualClock(), ScriptedHttp(*steps)
        self.discovery = Discovery(http=self.http, clock=self.clock)

    async def find(self, job=JOB):
        return (await self.discovery.metadata(job)).token_endpoint

    async def fail(self):
        with pytest.raises(TransportError) as caught:
            await self.find()
        return caught.value


async def test_a_job_with_an_issuer_asks_where_it_leads():
    stage = Stage(metadata(), token(1), token(2), job=replaceable(token_url="", shape=JOB.shape))

    outcomes = [(await stage.rotate(force=True)).outcome for _ in range(2)]

    assert outcomes == ["rotated", "rotated"]
    assert stage.http.asked == [BY_OAUTH, "POST /token", "POST /token"]
    assert {urlsplit(request.url).netloc for request in stage.http.requests[1:]} == {"tokens.example.com"}
    assert stage.http.requests[0].body == b""
    assert "authorization" not in {name.lower() for name, _ in stage.http.requests[0].headers}


@pytest.mark.leak("L34")
@pytest.mark.parametrize("endpoint", ["https://tokens.other.example/token", "https://tokens.example.com:8200/token"])
async def test_a_job_that_may_name_certain_hosts_is_led_to_no_other(endpoint):
    held = replace(JOB, hosts=("*.example.com",))
    lookups = Lookups(metadata(), metadata(endpoint))
    assert await lookups.find(held) == "https://tokens.example.com/token"
    await lookups.clock.advance(timedelta(days=1))
    assert await lookups.find() == endpoint
    with pytest.raises(TransportError) as caught:
        await lookups.find(held)
    assert (caught.value.code, caught.value.sent) == ("discovery", False)
    assert "allow.hosts" in caught.value.why


async def test_another_endpoint_on_a_host_that_it_may_not_name_counts_as_none():
    found = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/t", "introspection_endpoint": "https://other.example/i"}
    lookups = Lookups(answer(200, found))
    assert (await lookups.discovery.metadata(JOB)).introspection_endpoint
    assert not (await lookups.discovery.metadata(replace(JOB, hosts=("id.example.com",)))).introspection_endpoint


async def test_the_second_address_is_asked_where_the_first_has_nothing():
    for nothing in (answer(404), answer(200, b"<html>"), answer(500), answer(200, {"issuer": "another"})):
        lookups = Lookups(nothing, metadata())
        assert await lookups.find() == "https://tokens.example.com/token"
        assert lookups.http.asked == [BY_OAUTH, BY_OPENID]


async def test_a_thousand_jobs_of_one_issuer_cause_one_request():
    lookups = Lookups(metadata())

    async def slow(request):
        await lookups.clock.sleep(timedelta(seconds=3))
        return await ScriptedHttp.send(lookups.http, request)

    lookups.http.send = slow
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lookups.find(replace(JOB, name=f"job-{number}"))) for number in range(1000)]
        await lookups.clock.advance(timedelta(seconds=3))

    assert {task.result() for task in tasks} == {"https://tokens.example.com/token"}
    assert len(lookups.http.requests) == 1


async def test_a_thousand_jobs_meet_one_failure():
    lookups = Lookups(answer(503), answer(503))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lookups.fail()) for _ in range(1000)]

    assert {task.result().code for task in tasks} == {"discovery"}
    assert len({id(task.result()) for task in tasks}) == 1000
    assert len(lookups.http.requests) == 2


async def test_a_failure_is_soon_forgotten():
    lookups = Lookups(lost("connection refused"), metadata())
    first = await lookups.fail()
    await lookups.clock.advance(timedelta(seconds=4.9))
    assert (await lookups.fail()).why == first.why
    await lookups.clock.advance(timedelta(seconds=0.1))
    assert await lookups.find() == "https://tokens.example.com/token"


async def test_what_was_read_holds_for_a_day():
    lookups = Lookups(metadata(), metadata("https://new.example.com/token"))
    await lookups.find()
    await lookups.clock.advance(timedelta(hours=23, minutes=59))
    assert await lookups.find() == "https://tokens.example.com/token"
    await lookups.clock.advance(timedelta(minutes=1))
    assert await lookups.find() == "https://new.example.com/token"


async def test_doubt_has_it_read_again_but_once_a_minute():
    lookups = Lookups(metadata(), metadata("https://new.example.com/token"), metadata())
    found = []
    for _ in range(12):
        found.append(await lookups.find())
        lookups.discovery.doubt(JOB)
        await lookups.clock.advance(timedelta(seconds=10))

    assert found == ["https://tokens.example.com/token"] * 6 + ["https://new.example.com/token"] * 6
    assert len(lookups.http.requests) == 2


async def test_what_was_read_once_is_used_on_when_it_can_not_be_read_again():
    lookups = Lookups(metadata(), lost(), lost(), metadata("https://new.example.com/token"))
    await lookups.find()
    await lookups.clock.advance(timedelta(days=1))
    found = []
    for _ in range(3):
        found.append(await lookups.find())
        await lookups.clock.advance(timedelta(minutes=1))

    assert found == ["https://tokens.example.com/token"] * 2 + ["https://new.example.com/token"]


async def test_each_issuer_and_channel_is_looked_up_for_itself():
    proxied = replace(JOB, shape=replace(JOB.shape, channel=Channel(proxy="http://proxy.example.com:3128")))
    with_certificate = replace(JOB, shape=replace(JOB.shape, channel=Channel(cert_file=Path("/c"))))
    aliases = {"token_endpoint": "https://mtls.example.com/token"}
    body = {"issuer": ISSUER, "token_endpoint": "https://tokens.example.com/token", "mtls_endpoint_aliases": aliases}
    lookups = Lookups(*[answer(200, body)] * 3)

    found = [await lookups.find(job) for job in (JOB, proxied, with_certificate) * 2]

    assert (
        found == ["https://tokens.example.com/token", "https://tokens.example.com/token", aliases["token_endpoint"]] * 2
    )
    assert [request.channel for request in lookups.http.requests] == [
        None,
        proxied.shape.channel,
        with_certificate.shape.channel,
    ]


async def test_a_failure_is_the_jobs_passing_trouble_and_says_what_to_look_at():
    stage = Stage(answer(404), answer(200, {"issuer": f"{ISSUER}/"}), job=replaceable(token_url="", shape=JOB.shape))

    ended = await stage.rotate()

    (event,) = stage.sink.events
    assert (ended.outcome, ended.error, ended.host_answered) == ("rejected_transient", "discovery", False)
    assert (event.name, event.level) == ("failing", "warning")
    assert event.fields["why"] == (
        "discovery: https://id.example.com/.well-known/oauth-authorization-server/acme HTTP 404; "
        "https://id.example.com/acme/.well-known/openid-configuration "
        'states the issuer with another end: write issuer = "https://id.example.com/acme/"'
    )


@pytest.mark.parametrize("code", ["transport", "deadline"])
async def test_an_issuer_that_is_away_is_told_as_such(code):
    away = TransportError(code, "no answer", sent=False)
    stage = Stage(away, job=replaceable(token_url="", shape=JOB.shape))

    ended = await stage.rotate()

    (event,) = stage.sink.events
    assert (ended.outcome, ended.error) == ("rejected_transient", code)
    assert event.fields["why"] == f"{code}: discovery at {ISSUER.replace('/acme', '')}{BY_OAUTH[4:]}: no answer"


@pytest.mark.parametrize("moved", [refused("", 404), refused("", 405), refused("", 410), lost()])
async def test_an_endpoint_that_moved_is_found_again(moved):
    job = replaceable(token_url="", shape=JOB.shape)
    stage = Stage(metadata(), token(1), moved, metadata("https://new.example.com/token"), token(2), job=job)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=2))
    await stage.rotate(force=True)
    await stage.clock.advance(timedelta(minutes=20))
    await stage.rotate(force=True)

    assert [urlsplit(request.url).netloc for request in stage.http.requests[3:]] == [
        "id.example.com",
        "new.example.com",
    ]
    assert stage.stands()["access_token"] == "AT-2"


@pytest.mark.parametrize(
    "refusal", [refused("invalid_client", 401), refused("invalid_request", 400), refused("x", 500)]
)
async def test_a_refusal_is_no_reason_to_look_again(refusal):
    job = replaceable(token_url="", shape=JOB.shape)
    stage = Stage(metadata(), refusal, token(2), job=job)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=20))
    await stage.rotate(force=True)

    assert stage.http.asked == [BY_OAUTH, "POST /token", "POST /token"]
