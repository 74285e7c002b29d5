"""A job whose tokens a program prints: judged as replies are, and held back as providers are."""

from datetime import timedelta

import pytest

from refresher.core.errors import TransportError
from refresher.core.job import Program, ResponseMap, Shape
from refresher.core.model import HttpResponse
from tests.core.builders import a_job
from tests.rotation.stage import PASSWORD, Stage

PROGRAM = Program(argv=("/usr/local/bin/fetch-token",), secrets=(("password", PASSWORD),))


def stage_of(*steps, **changes):
    stage = Stage(job=a_job(token_url="", client_id="", client_auth="none", shape=Shape(program=PROGRAM), **changes))
    stage.programs.steps = list(steps)
    return stage


async def test_what_it_prints_is_written_and_it_is_run_again_when_due():
    tokens = [{"access_token": f"AT-{number}", "expires_in": 3600} for number in (1, 2)]
    stage = stage_of(*tokens)

    ended = await stage.rotate()
    due = ended.renew_at - stage.clock.now()
    again = await stage.later(seconds=due.total_seconds())

    assert (ended.outcome, again.outcome, again.reason) == ("rotated", "rotated", "due")
    assert timedelta(minutes=30) < due < timedelta(minutes=50)
    assert stage.stands()["access_token"] == "AT-2"
    assert stage.programs.runs == [("crm", {"secrets.password": "pass-word"})] * 2
    assert stage.http.requests == []


async def test_what_it_prints_may_have_names_of_its_own():
    where = ResponseMap(access_token="data.token", expires_in="data.ttl", expires_in_unit="ms")
    stage = stage_of({"data": {"token": "AT-1", "ttl": 90_000}}, response=where)

    await stage.rotate()

    held = stage.stands()
    assert (held["access_token"], held["expires_at"]) == ("AT-1", "2026-11-21T10:01:30Z")


@pytest.mark.parametrize(
    ("printed", "outcome", "error"),
    [
        (HttpResponse(status=200, body=b"CANARY"), "rejected_malformed", "body"),
        (HttpResponse(status=200, body=b""), "rejected_malformed", "body"),
        (HttpResponse(status=200, body=b"{", truncated=True), "rejected_malformed", "too_large"),
        ({"access_token": "a b"}, "rejected_malformed", "access_token"),
        ({"error": "invalid_client"}, "rejected_permanent", "invalid_client"),
        ({"error": "pass-word"}, "rejected_permanent", "other"),
        (TransportError("exit_3", "the program ended with status 3", sent=True), "rejected_transient", "exit_3"),
        (TransportError("deadline", "the program took longer", sent=True), "rejected_transient", "deadline"),
    ],
)
async def test_what_is_no_token_replaces_nothing(printed, outcome, error):
    stage = stage_of({"access_token": "AT-1", "expires_in": 3600}, printed)
    await stage.rotate()
    ended = await stage.later(minutes=55)

    assert (ended.outcome, ended.error) == (outcome, error)
    assert ended.host_answered == (error != "deadline"), "one that fails at once holds no other program up"
    assert stage.stands()["access_token"] == "AT-1"
    assert "pass-word" not in stage.sink.text()
    assert "CANARY" not in stage.sink.text()


async def test_a_program_that_fails_says_why_once():
    failure = TransportError("exit_3", "the program ended with status 3", sent=True)
    stage = stage_of(failure, failure, {"access_token": "AT-1"})
    ends = [await stage.later(minutes=10) for _ in range(3)]

    (failing,) = stage.sink.named("failing")
    assert [ended.outcome for ended in ends] == ["rejected_transient"] * 2 + ["rotated"]
    assert failing.fields["why"] == "exit_3: the program ended with status 3"
    assert stage.sink.told() == [("failing", "exit_3")]


async def test_a_changed_secret_opens_the_latch():
    stage = stage_of({"error": "invalid_grant"}, {"access_token": "AT-1"})
    await stage.rotate()
    latched = await stage.later(seconds=5)
    stage.references.texts[str(PASSWORD)] = "another"
    ended = await stage.later(seconds=5)

    assert (latched.outcome, ended.outcome) == ("halted", "rotated")


def test_all_programs_count_as_one_host_and_their_secrets_are_the_jobs():
    stage = stage_of()

    assert stage.charge.job.host == "exec"
    assert stage.charge.job.references() == {"secrets.password": PASSWORD}
