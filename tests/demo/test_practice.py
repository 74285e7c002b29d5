"""The practice vendors keep to their documents, and take what refresher itself sends."""

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest

from refresher import config
from refresher.core.job import GrantName, Job
from refresher.core.model import Granted, HttpResponse, Rejected
from refresher.demo import practice, stage
from refresher.demo.practice import Client, Vendor
from refresher.providers import interpret
from tests.fakes.clock import VirtualClock
from tests.providers.requests import request_of

LIFETIME = timedelta(seconds=12)


class Desk:
    """One vendor with one client, asked without a wire in between."""

    def __init__(self, name: str, job: Job) -> None:
        self.clock = VirtualClock()
        self.job = job
        self.client = Client(vendor=name, id=job.client_id, lifetime=LIFETIME, secret="s:+ecret%")
        self.vendor: Vendor = practice.VENDORS[name]([self.client], self.clock)

    def ask(self, grant: GrantName, **secrets: str) -> Granted | Rejected:
        """Send what refresher would send and return what it makes of the answer."""
        given = {"client_secret": self.client.secret, "password": self.client.password} | secrets
        request = request_of(self.job, grant, **given)
        sent = {name.lower(): value for name, value in request.headers}
        response = self.vendor.answer(sent.get("authorization", ""), form(request.body))
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        reply = HttpResponse(status=response.status, headers=headers, body=bytes(response.body))
        return interpret(reply, self.job, sent_at=self.clock.now())

    def granted(self, grant: GrantName, **secrets: str) -> Granted:
        verdict = self.ask(grant, **secrets)
        assert isinstance(verdict, Granted), verdict
        return verdict

    def answers(self, **form: str) -> tuple[int, str]:
        """Post a form of one's own."""
        client = {"client_id": self.client.id, "client_secret": self.client.secret}
        response = self.vendor.answer("", client | form)
        return response.status, response.text


def form(body: bytes) -> Mapping[str, str]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))


@pytest.fixture
def jobs(tmp_path: Path) -> Mapping[str, Job]:
    """The demo's own jobs, read by refresher's own reader."""
    urls = {name: f"http://127.0.0.1:{port}" for port, name in enumerate(practice.VENDORS, start=9001)}
    file = tmp_path / "jobs.toml"
    file.write_text(stage._jobs(tmp_path, "http://127.0.0.1:8200", "role", urls))
    file.chmod(0o600)
    return config.load(file).jobs


def test_the_demos_jobs_are_those_of_its_clients(jobs: Mapping[str, Job]) -> None:
    assert list(jobs) == list(stage.CLIENTS)
    for name, job in jobs.items():
        vendor = practice.VENDORS[stage.CLIENTS[name].vendor]
        assert job.token_url.endswith(vendor.token_path)
    lifetimes = [client.lifetime for client in stage.CLIENTS.values()]
    assert len(set(lifetimes)) == len(lifetimes)
    assert (min(lifetimes), max(lifetimes)) == (timedelta(seconds=12), timedelta(seconds=30))


def test_semansys_takes_the_password_then_each_refresh_token_once(jobs: Mapping[str, Job]) -> None:
    desk = Desk("semansys", jobs["semansys"])
    first = desk.granted("password").token
    assert (first.expires_in, first.token_type.lower()) == (12, "bearer")
    second = desk.granted("refresh_token", refresh_token=first.refresh_token.reveal()).token
    third = desk.granted("refresh_token", refresh_token=second.refresh_token.reveal()).token
    assert len({one.access_token.reveal() for one in (first, second, third)}) == 3
    assert isinstance(desk.ask("refresh_token", refresh_token=first.refresh_token.reveal()), Rejected)
    # the replay ended the login: its newest refresh token is dead too
    assert isinstance(desk.ask("refresh_token", refresh_token=third.refresh_token.reveal()), Rejected)
    assert desk.granted("password")


def test_semansys_refuses_as_its_document_lists(jobs: Mapping[str, Job]) -> None:
    desk = Desk("semansys", jobs["semansys"])
    user = {"username": desk.client.username, "password": desk.client.password}
    assert desk.answers(grant_type="password", **user)[0] == 200
    assert desk.answers(grant_type="password", **user, client_secret="wrong") == (401, "Unauthorized")
    assert desk.answers(grant_type="password", **user | {"password": "wrong"}) == (403, "Forbidden")
    assert desk.answers(grant_type="password", **user | {"username": "wrong"}) == (403, "Forbidden")
    assert desk.answers(grant_type="client_credentials") == (400, "Bad Request")
    assert desk.answers(grant_type="refresh_token", refresh_token="wrong") == (400, "Bad Request")


def test_a_refresh_token_is_its_own_clients(jobs: Mapping[str, Job]) -> None:
    desk = Desk("semansys", jobs["semansys"])
    other = Client(vendor="semansys", id="other", lifetime=LIFETIME)
    desk.vendor._clients["other"] = other
    token = desk.granted("password").token.refresh_token.reveal()
    stolen = {"client_id": "other", "client_secret": other.secret, "refresh_token": token}
    assert desk.answers(grant_type="refresh_token", **stolen)[0] == 400


def test_smartdocumentor_takes_the_scope_webapi_alone(jobs: Mapping[str, Job]) -> None:
    desk = Desk("smartdocumentor", jobs["smartdocumentor"])
    assert desk.granted("client_credentials").token.scope == ("WebAPI",)
    for wrong, error in (
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"scope": "Other"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ):
        asked = {"grant_type": "client_credentials", "scope": "WebAPI"} | wrong
        status, text = desk.answers(**asked)
        assert (status, json.loads(text)) == (400, {"error": error})


def test_screening_eagle_takes_the_plain_basic_header(jobs: Mapping[str, Job]) -> None:
    desk = Desk("screening-eagle", jobs["screening-eagle"])
    token = desk.granted("client_credentials").token
    assert token.access_token.reveal().count(".") == 2
    assert token.extras["id_token"].reveal() != token.access_token.reveal()
    payload = token.access_token.reveal().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert claims["exp"] - claims["iat"] == 12

    asked = {"grant_type": "client_credentials", "scope": "openid"}
    right = base64.b64encode(f"{desk.client.id}:{desk.client.secret}".encode()).decode()
    encoded = base64.b64encode(f"{desk.client.id}:s%3A%2Becret%25".encode()).decode()
    for authorization, body, status in (
        (f"Basic {right}", asked, 200),
        (f"Basic {encoded}", asked, 401),
        (f"Bearer {right}", asked, 401),
        ("Basic \x00", asked, 401),
        ("", asked | {"client_id": desk.client.id, "client_secret": desk.client.secret}, 401),
        (f"Basic {right}", asked | {"scope": ""}, 400),
        (f"Basic {right}", asked | {"grant_type": "password"}, 400),
    ):
        response = desk.vendor.answer(authorization, body)
        assert response.status == status
        if status != 200:
            assert json.loads(response.text) == {"error": "Forbidden", "errorDescription": "permission denied"}


@pytest.mark.e2e
async def test_the_api_takes_a_token_while_it_lives() -> None:
    clock = VirtualClock()
    clients = [Client(vendor=name, id=name, lifetime=LIFETIME) for name in practice.VENDORS]
    async with practice.serve(clients, clock) as urls, aiohttp.ClientSession() as session:
        assert len(set(urls.values())) == 3

        async def status(vendor: str, token: str) -> int:
            async with session.get(f"{urls[vendor]}/api", headers={"Authorization": token}) as reply:
                assert reply.status == 200 or reply.headers["WWW-Authenticate"].startswith("Bearer")
                return reply.status

        wanted = {"grant_type": "client_credentials", "scope": "WebAPI", "client_id": "smartdocumentor"}
        wanted["client_secret"] = clients[1].secret
        form_type = {"Content-Type": practice.FORM}
        url = f"{urls['smartdocumentor']}/connect/token"
        async with session.post(url, data=json.dumps(wanted), headers={"Content-Type": "application/json"}) as reply:
            assert reply.status == 400  # not a form
        async with session.post(url, data=urlencode(wanted), headers=form_type) as reply:
            token = (await reply.json())["access_token"]
        assert await status("smartdocumentor", f"Bearer {token}") == 200
        assert await status("screening-eagle", f"Bearer {token}") == 401
        assert await status("smartdocumentor", f"Basic {token}") == 401
        assert await status("smartdocumentor", "Bearer wrong") == 401
        clock.jump(LIFETIME)
        assert await status("smartdocumentor", f"Bearer {token}") == 401
