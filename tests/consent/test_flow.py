"""The two ways to ask, against a scripted provider: what is sent and when, and what ends the asking."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from refresher.consent import DevicePrompt, InterruptedWaitError
from refresher.core.job import Shape
from refresher.core.model import Granted, Rejected
from refresher.core.secret import Secret
from refresher.providers.consent import challenge, explain_consent
from tests.consent.scene import BROWSER, DEVICE, JOB, OFFERED, PENDING, SLOW, TOKEN, Scene
from tests.fakes.clock import START
from tests.fakes.http import answer, lost

METADATA = {
    "issuer": "https://id.example.com",
    "token_endpoint": "https://id.example.com/found/token",
    "device_authorization_endpoint": "https://id.example.com/found/device",
    "authorization_endpoint": "https://id.example.com/found/authorize",
}
ISSUED = replace(JOB, token_url="", shape=Shape(issuer="https://id.example.com"))


async def test_a_device_code_is_polled_for_at_its_pace_until_somebody_consents():
    scene = Scene(OFFERED, PENDING, SLOW, PENDING, TOKEN)
    verdict = await scene.ask.consent(JOB, DEVICE, {})
    assert isinstance(verdict, Granted)
    assert verdict.token.refresh_token == Secret("RT")
    assert verdict.token.issued_at == START + timedelta(seconds=30), "when the last poll was sent"
    assert scene.patience.pauses == [5, 5, 10, 10]
    until = START + timedelta(seconds=60)
    assert scene.prompts == [DevicePrompt(uri="https://id.example.com/d", code="WDJB-MJHT", complete="", until=until)]
    assert [form.get("device_code") for form in scene.forms()] == [None] + ["the-device-code"] * 4


async def test_a_server_in_trouble_is_asked_again_and_less_often():
    scene = Scene(OFFERED, lost(), answer(503, retry_after="12"), TOKEN)
    assert isinstance(await scene.ask.consent(JOB, DEVICE, {}), Granted)
    assert scene.patience.pauses == [5, 10, 20]


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (answer(400, {"error": "access_denied"}), "access_denied"),
        (answer(400, {"error": "expired_token"}), "expired_token"),
        (answer(200, b"<html>"), "body"),
    ],
)
async def test_the_server_s_last_word(last, error):
    scene = Scene(OFFERED, PENDING, last)
    verdict = await scene.ask.consent(JOB, DEVICE, {})
    assert isinstance(verdict, Rejected)
    assert verdict.error == error
    assert len(scene.http.requests) == 3


async def test_a_code_that_has_run_out_is_not_asked_for_again():
    scene = Scene(OFFERED, *[PENDING] * 11)
    verdict = await scene.ask.consent(JOB, DEVICE, {})
    assert verdict == Rejected(kind="permanent", error="expired_token")
    assert (sum(scene.patience.pauses), len(scene.http.requests)) == (55, 12)


@pytest.mark.parametrize(
    ("first", "error"),
    [(lost(), "transport"), (answer(404, b""), "http_404"), (answer(200, {}), "device_code")],
)
async def test_no_code_at_all(first, error):
    scene = Scene(first)
    verdict = await scene.ask.consent(JOB, DEVICE, {})
    assert isinstance(verdict, Rejected)
    assert verdict.error == error
    assert scene.prompts == []


async def test_somebody_who_has_no_patience():
    scene = Scene(OFFERED, PENDING, ends=1)
    with pytest.raises(InterruptedWaitError):
        await scene.ask.consent(JOB, DEVICE, {})
    assert len(scene.http.requests) == 2


async def browse(scene: Scene, **changed: str) -> bytes:
    """Come back from the consent page, with a code and whatever it was sent along with unless `changed`."""
    await scene.shown.wait()
    prompt = scene.prompts[-1]
    words = dict(parse_qsl(urlsplit(prompt.url).query))
    back = urlencode({"code": "the-code", "state": words["state"]} | changed)
    reader, writer = await asyncio.open_connection("127.0.0.1", prompt.port)
    writer.write(f"GET /callback?{back} HTTP/1.1\r\n\r\n".encode())
    page = await reader.read()
    writer.close()
    await writer.wait_closed()
    return page


async def test_a_browser_brings_a_code_that_is_redeemed_with_the_verifier_of_this_question():
    scene = Scene(TOKEN)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.ask.consent(JOB, BROWSER, {}))
        assert (await browse(scene, state="another")).startswith(b"HTTP/1.1 404")
        assert scene.http.requests == []
        assert (await browse(scene)).startswith(b"HTTP/1.1 200")
    assert isinstance(asking.result(), Granted)
    (prompt,), (form,) = scene.prompts, scene.forms()
    words = dict(parse_qsl(urlsplit(prompt.url).query))
    assert form["code"] == "the-code"
    assert form["redirect_uri"] == words["redirect_uri"] == f"http://127.0.0.1:{prompt.port}/callback"
    assert challenge(Secret(form["code_verifier"])) == words["code_challenge"]
    assert prompt.until == START + timedelta(minutes=5)


async def test_every_question_has_a_state_and_a_verifier_of_its_own():
    scene = Scene(TOKEN, TOKEN)
    for _ in range(2):
        scene.shown.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.ask.consent(JOB, BROWSER, {}))
            await browse(scene)
    first, second = (dict(parse_qsl(urlsplit(prompt.url).query)) for prompt in scene.prompts)
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]
    assert first["state"] not in [form["code_verifier"] for form in scene.forms()]


@pytest.mark.parametrize(
    ("back", "error"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ({"iss": "https://evil.example.com"}, "iss"),
        ({"code": ""}, "code"),
    ],
)
async def test_a_browser_that_brings_no_code_spends_nothing(back, error):
    scene = Scene(answer(200, METADATA))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.ask.consent(ISSUED, BROWSER, {}))
        await browse(scene, **back)
    assert asking.result() == Rejected(kind="permanent", error=error)
    assert scene.http.asked == ["GET /.well-known/oauth-authorization-server"]


async def test_nobody_comes_back(monkeypatch):
    monkeypatch.setattr("refresher.consent.flow.PATIENCE", timedelta(milliseconds=1))
    scene = Scene()
    assert await scene.ask.consent(JOB, BROWSER, {}) == Rejected(kind="permanent", error="timeout")


async def test_a_code_whose_answer_is_lost():
    scene = Scene(lost())
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.ask.consent(JOB, BROWSER, {}))
        await browse(scene)
    assert asking.result() == Rejected(kind="transient", error="transport")


@pytest.mark.parametrize("stated", ["", "https://elsewhere.example.com/device"])
async def test_an_issuer_leads_to_what_is_not_stated(stated):
    scene = Scene(answer(200, METADATA), OFFERED, TOKEN)
    assert isinstance(await scene.ask.consent(ISSUED, replace(DEVICE, url=stated), {}), Granted)
    urls = [request.url for request in scene.http.requests[1:]]
    assert urls == [stated or "https://id.example.com/found/device", "https://id.example.com/found/token"]


async def test_an_issuer_leads_a_browser():
    scene = Scene(answer(200, METADATA), TOKEN)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.ask.consent(ISSUED, replace(BROWSER, url=""), {}))
        await browse(scene, iss="https://id.example.com")
    assert isinstance(asking.result(), Granted)
    assert scene.prompts[0].url.startswith("https://id.example.com/found/authorize?")


async def test_an_issuer_that_has_no_such_endpoint():
    scene = Scene(answer(200, {name: METADATA[name] for name in ("issuer", "token_endpoint")}))
    verdict = await scene.ask.consent(ISSUED, replace(DEVICE, url=""), {})
    assert verdict == Rejected(kind="permanent", error="no_endpoint")


async def test_an_issuer_that_can_not_be_reached():
    scene = Scene(lost("name not found"))
    verdict = await scene.ask.consent(ISSUED, replace(DEVICE, url=""), {})
    assert isinstance(verdict, Rejected)
    assert verdict.error == "transport"
    assert "name not found" in explain_consent(ISSUED, verdict)
