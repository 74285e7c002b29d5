"""The login: one live token for all, renewed in time, and no storm when it fails."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.core.errors import StoreError, StoreRefusedError, StoreUnavailableError, TransportError
from refresher.core.settings import Auth
from refresher.vault import auth, methods
from refresher.vault.adapter import Adapter
from refresher.vault.auth import Login
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer, lost
from tests.vault.builders import APPROLE, GIVEN, JWT, REFERENCE, Local, a_cluster, header, logged_in, looked_up, payload

LOGIN, RENEW = "POST /v1/auth/approle/login", "POST /v1/auth/token/renew-self"
LOOKUP, REVOKE = "GET /v1/auth/token/lookup-self", "POST /v1/auth/token/revoke-self"
DEAD = answer(403, {"errors": ["permission denied"]})
DENIED = answer(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
BAD_SECRET_ID = answer(400, {"errors": ["invalid role or secret ID"]})


class Setup:
    """A login over a script of answers."""

    def __init__(self, *steps: object, auth: object = APPROLE, local: Local | None = None, **cluster: object) -> None:
        self.http = ScriptedHttp(*steps)
        self.clock = VirtualClock()
        self.local = local or Local()
        cluster = a_cluster(auth, **cluster)
        self.login = Login(http=self.http, cluster=cluster, clock=self.clock, local=self.local)

    async def token(self) -> str:
        return (await self.login.token()).reveal()

    async def fails(self) -> StoreError:
        with pytest.raises(StoreError) as caught:
            await self.login.token()
        assert "CANARY" not in str(caught.value)
        return caught.value

    async def wait(self, seconds: float) -> None:
        await self.clock.advance(timedelta(seconds=seconds))


@pytest.mark.answer("V13", "V51")
@pytest.mark.leak("L6", "L19")
async def test_an_approle_login_sends_its_credentials_and_no_token(monkeypatch, tmp_path):
    monkeypatch.setenv("VAULT_TOKEN", "ambient")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text("ambient")
    one = Setup(logged_in(), local=Local("CANARY\n"), namespace="ops")

    assert await one.token() == "hvs.1"

    request = one.http.requests[0]
    assert request.url == "https://vault.example.com:8200/v1/auth/approle/login"
    assert payload(request) == {"role_id": "role", "secret_id": "CANARY"}
    assert (header(request, "x-vault-token"), header(request, "x-vault-namespace")) == (None, "ops")
    assert header(request, "x-vault-request") == "true"


@pytest.mark.parametrize(
    ("auth", "path", "sent"),
    [
        (Auth(method="kubernetes", role="r", jwt=REFERENCE, mount="k8s/eu"), "k8s/eu", {"role": "r", "jwt": "CANARY"}),
        (Auth(method="jwt", jwt=REFERENCE, mount="jwt"), "jwt", {"jwt": "CANARY"}),
        (Auth(method="cert", role="r", cert_file=Path("/c.pem"), mount="cert"), "cert", {"name": "r"}),
        (Auth(method="cert", cert_file=Path("/c.pem"), mount="cert"), "cert", {}),
    ],
)
async def test_what_each_method_sends(auth, path, sent):
    one = Setup(logged_in(), auth=auth)

    assert await one.token() == "hvs.1"

    assert one.http.asked == [f"POST /v1/auth/{path}/login"]
    assert payload(one.http.requests[0]) == sent


async def test_a_jwt_is_read_afresh_for_each_login():
    one = Setup(logged_in("hvs.1", ttl=30, renewable=False), logged_in("hvs.2"), auth=JWT)
    await one.token()
    one.local.text = "CANARY-2"
    await one.wait(20)

    assert await one.token() == "hvs.2"
    assert [payload(request)["jwt"] for request in one.http.requests] == ["CANARY", "CANARY-2"]


@pytest.mark.parametrize(
    ("method", "status", "why"), [(*case, why) for case, why in methods.REFUSALS.items() if case[0] != "token"]
)
async def test_a_refusal_says_what_to_look_at(method, status, why):
    auth = Auth(method=method, role="r", jwt=REFERENCE if method in ("jwt", "kubernetes") else None)
    error = await Setup(answer(status, {"errors": ["any words"]}), auth=auth).fails()

    assert (type(error), error.code) == (StoreRefusedError, "login")
    assert str(error).endswith(f"{why} (HTTP {status})")


async def test_an_approle_may_need_no_secret_id():
    one = Setup(logged_in(), auth=replace(APPROLE, secret_id=None))
    await one.token()

    assert payload(one.http.requests[0]) == {"role_id": "role", "secret_id": None}


def test_the_adapter_keeps_no_token():
    with pytest.raises(NotImplementedError):
        Adapter(ScriptedHttp(), a_cluster()).get_login_token({})


async def test_a_token_serves_until_two_thirds_of_its_life():
    one = Setup(logged_in("hvs.1", ttl=1200), logged_in("hvs.1", ttl=1200))
    await one.token()
    await one.wait(799)
    await one.token()
    assert one.http.asked == [LOGIN]

    await one.wait(1)
    assert await one.token() == "hvs.1"
    await one.wait(799)
    await one.token()

    assert one.http.asked == [LOGIN, RENEW]
    assert header(one.http.requests[1], "x-vault-token") == "hvs.1"


async def test_all_who_wait_share_one_login():
    one = Setup(logged_in())

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.token()) for _ in range(50)]

    assert {task.result() for task in tasks} == {"hvs.1"}
    assert one.http.asked == [LOGIN]


@pytest.mark.answer("V41")
async def test_a_renewal_that_is_capped_is_the_last():
    one = Setup(logged_in("hvs.1", ttl=6), logged_in("hvs.1", ttl=3), logged_in("hvs.2", ttl=6))
    await one.token()
    await one.wait(4)
    assert await one.token() == "hvs.1"
    await one.wait(2)

    assert await one.token() == "hvs.2"
    assert one.http.asked == [LOGIN, RENEW, LOGIN]


@pytest.mark.parametrize(
    "refusal", [answer(400, {"errors": ["lease is not renewable"]}), DENIED, DEAD, answer(200, {})]
)
@pytest.mark.answer("V42")
async def test_a_renewal_that_is_refused_is_a_login(refusal):
    one = Setup(logged_in("hvs.1", ttl=6), refusal, logged_in("hvs.2"))
    await one.token()
    await one.wait(4)

    assert await one.token() == "hvs.2"


async def test_a_token_that_is_not_renewable_is_followed_by_a_login():
    one = Setup(logged_in("hvb.1", ttl=6, renewable=False), logged_in("hvb.2"))
    await one.token()
    await one.wait(4)

    assert await one.token() == "hvb.2"
    assert one.http.asked == [LOGIN, LOGIN]


async def test_while_vault_is_away_the_old_token_serves_to_its_end():
    one = Setup(logged_in("hvs.1", ttl=30), *[lost()] * 3, DEAD, logged_in("hvs.2"))
    await one.token()
    await one.wait(20)
    assert await one.token() == "hvs.1"
    await one.wait(0.9)
    assert await one.token() == "hvs.1"
    assert one.http.asked == [LOGIN, RENEW]
    await one.wait(0.1)
    assert await one.token() == "hvs.1"
    assert one.http.asked == [LOGIN, RENEW, RENEW]

    await one.wait(9)

    assert isinstance(await one.fails(), StoreUnavailableError)
    assert await one.token() == "hvs.2"


async def test_a_login_that_fails_lets_the_old_token_live_on():
    one = Setup(logged_in("hvs.1", ttl=30), answer(400), BAD_SECRET_ID)
    await one.token()
    await one.wait(20)

    assert await one.token() == "hvs.1"


@pytest.mark.fault("F19")
async def test_a_refused_login_is_not_tried_again_for_a_minute():
    one = Setup(BAD_SECRET_ID, BAD_SECRET_ID)
    first = await one.fails()
    assert isinstance(first, StoreRefusedError)
    assert (first.code, first.status) == ("login", 400)
    assert str(first) == "log in at https://vault.example.com:8200: role_id or secret_id is not valid (HTTP 400)"
    await one.wait(59)

    again = await one.fails()

    assert (type(again), again.code, str(again), again.retry_after) == (StoreRefusedError, "login", str(first), 1.0)
    assert one.http.asked == [LOGIN]
    await one.wait(1)
    await one.fails()
    assert one.http.asked == [LOGIN, LOGIN]


@pytest.mark.fault("F19")
async def test_a_login_that_stays_refused_is_tried_four_times_in_an_hour_and_soon_when_it_changes():
    one = Setup(*[BAD_SECRET_ID] * 4, lost(), BAD_SECRET_ID, BAD_SECRET_ID, logged_in())
    for _ in range(3600):
        await one.fails()
        await one.wait(1)
    assert len(one.http.asked) == 4
    for _ in range(62):
        await one.fails()
        await one.wait(1)
    assert len(one.http.asked) == 6  # Vault was away once, and that was no refusal
    one.local.text = "CANARY-2"
    await one.fails()
    assert len(one.http.asked) == 7
    await one.wait(60)

    assert await one.token() == "hvs.1"


async def test_a_changed_credential_is_tried_at_once():
    one = Setup(BAD_SECRET_ID, logged_in())
    await one.fails()
    one.local.text = "CANARY-2"

    assert await one.token() == "hvs.1"


@pytest.mark.fault("F8")
async def test_a_vault_that_is_away_is_asked_once_a_second():
    one = Setup(lost("connection refused", sent=False), answer(503, {"errors": ["Vault is sealed"]}), logged_in())
    errors = [await one.fails() for _ in range(5)]
    assert [(type(error), error.code) for error in errors] == [(StoreUnavailableError, "transport")] * 5
    await one.wait(1)
    assert (await one.fails()).code == "sealed"
    await one.wait(1)

    assert await one.token() == "hvs.1"


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (DENIED, StoreRefusedError, "login"),
        (answer(404, {"errors": ["no handler for route"]}), StoreRefusedError, "login"),
        (answer(404, {"errors": ["namespace not found"]}), StoreRefusedError, "login"),
        (answer(200, {"auth": None}), StoreUnavailableError, "garbage"),
        (answer(200, {"auth": {"client_token": "CANARY\n"}}), StoreUnavailableError, "garbage"),
        (answer(200, b"<html>"), StoreUnavailableError, "garbage"),
        (answer(500, {"errors": ["internal error"]}), StoreUnavailableError, "unavailable"),
        (answer(429, {"errors": ["quota"]}, retry_after="7"), StoreUnavailableError, "quota"),
        (TransportError("deadline", "no whole reply within 5 s", sent=True), StoreUnavailableError, "deadline"),
    ],
)
async def test_what_a_failed_login_means(reply, kind, code):
    error = await Setup(reply).fails()

    assert (type(error), error.code) == (kind, code)


async def test_a_credential_that_cannot_be_read_is_refused_with_its_reference():
    one = Setup(local=Local(None))

    error = await one.fails()

    assert (type(error), error.code) == (StoreRefusedError, "login")
    assert str(error) == "log in at https://vault.example.com:8200: file:/run/vault: there is no such file"


@pytest.mark.parametrize("text", ["CANARY\nCANARY", "CANARY\x7f", "CAN ARY", "\u00e9CANARY", " \n"])
@pytest.mark.answer("V51")
async def test_a_credential_that_is_none_is_refused_unquoted(text):
    assert (await Setup(local=Local(text)).fails()).code == "login"


async def test_a_given_token_is_looked_up_and_renewed():
    one = Setup(looked_up(ttl=30), logged_in("ignored", ttl=30), auth=GIVEN)
    assert await one.token() == "CANARY"
    await one.wait(20)

    assert await one.token() == "CANARY"
    assert one.http.asked == [LOOKUP, RENEW]


@pytest.mark.parametrize("reply", [looked_up(ttl=0), looked_up(ttl=3600, renewable=False), DENIED])
async def test_a_given_token_that_cannot_be_renewed_is_used_as_it_is(reply):
    one = Setup(reply, auth=GIVEN)
    await one.token()
    await one.wait(86_400)

    assert await one.token() == "CANARY"
    assert one.http.asked == [LOOKUP]


async def test_a_given_token_whose_renewal_fails_is_renewed_later():
    one = Setup(looked_up(ttl=30), DENIED, logged_in("ignored", ttl=30), auth=GIVEN)
    await one.token()
    await one.wait(20)
    await one.token()
    await one.wait(1)

    await one.token()

    assert one.http.asked == [LOOKUP, RENEW, RENEW]


async def test_a_given_token_that_is_dead_is_refused():
    one = Setup(DEAD, auth=GIVEN)

    error = await one.fails()

    assert (type(error), error.code) == (StoreRefusedError, "login")
    assert str(error).endswith("the token is not valid, or not from this address (HTTP 403)")


async def test_a_given_token_is_followed_when_it_is_exchanged():
    one = Setup(looked_up(), looked_up(), auth=GIVEN)
    assert await one.token() == "CANARY"
    one.local.text = None
    assert await one.token() == "CANARY"
    one.local.text = "hvs.new"

    assert await one.token() == "hvs.new"
    assert [header(request, "x-vault-token") for request in one.http.requests] == ["CANARY", "hvs.new"]


async def test_a_lookup_that_says_nothing_of_the_token_is_no_login():
    assert (await Setup(answer(503, {"errors": ["Vault is sealed"]}), auth=GIVEN).fails()).code == "sealed"
    assert (await Setup(answer(404, {"errors": ["namespace not found"]}), auth=GIVEN).fails()).code == "namespace"


async def test_after_a_403_a_dead_token_is_replaced():
    one = Setup(logged_in("hvs.1"), DEAD, logged_in("hvs.2"))
    token = await one.login.token()

    assert await one.login.is_dead(token)
    assert await one.token() == "hvs.2"
    assert await one.login.is_dead(token)  # another has replaced it already
    assert one.http.asked == [LOGIN, LOOKUP, LOGIN]


@pytest.mark.parametrize("reply", [looked_up(), DENIED])
async def test_after_a_403_a_live_token_stays(reply):
    one = Setup(logged_in("hvs.1"), reply)

    assert not await one.login.is_dead(await one.login.token())
    assert await one.token() == "hvs.1"


async def test_tokens_that_die_one_after_the_other_are_no_storm():
    one = Setup(logged_in("hvs.1"), DEAD, logged_in("hvs.2"), DEAD, logged_in("hvs.3"))
    assert await one.login.is_dead(await one.login.token())

    with pytest.raises(StoreUnavailableError) as caught:
        await one.login.is_dead(await one.login.token())

    assert (caught.value.code, caught.value.retry_after) == ("login", 60.0)
    assert (await one.fails()).code == "login"
    await one.wait(59)
    assert ((await one.fails()).retry_after, one.http.asked.count(LOGIN)) == (1.0, 2)
    await one.wait(1)
    assert await one.token() == "hvs.3"


async def test_an_idle_token_is_kept_alive():
    one = Setup(logged_in("hvs.1", ttl=30), logged_in("hvs.1", ttl=30), lost(), logged_in("hvs.1", ttl=30))

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(one.login.keep())
        await one.wait(19)
        assert one.http.asked == [LOGIN]
        await one.wait(1)
        assert one.http.asked == [LOGIN, RENEW]
        await one.wait(21)
        assert one.http.asked == [LOGIN, RENEW, RENEW, RENEW]
        keeper.cancel()


async def test_keeping_logs_in_when_vault_comes_back():
    one = Setup(lost(), lost(), logged_in(), auth=APPROLE)

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(one.login.keep())
        await one.wait(2)
        keeper.cancel()

    assert one.http.asked == [LOGIN] * 3


async def test_keeping_looks_at_a_token_without_end_once_a_minute():
    one = Setup(looked_up(ttl=0), auth=GIVEN)

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(one.login.keep())
        await one.wait(3600)
        keeper.cancel()

    assert one.http.asked == [LOOKUP]


async def test_what_was_logged_in_for_is_revoked():
    one = Setup(logged_in("hvs.1"), answer(204))
    await one.token()

    await one.login.revoke()
    await one.login.revoke()

    assert one.http.asked == [LOGIN, REVOKE]
    assert header(one.http.requests[1], "x-vault-token") == "hvs.1"


async def test_what_was_given_is_not_revoked():
    one = Setup(looked_up(), auth=GIVEN)
    await one.token()

    await one.login.revoke()

    assert one.http.asked == [LOOKUP]


async def test_a_stop_does_not_wait_for_vault(monkeypatch):
    one = Setup(logged_in(), lost())
    await one.token()
    await one.login.revoke()

    async def hang(_request: object) -> None:
        await asyncio.Event().wait()

    hanging = Setup(logged_in())
    await hanging.token()
    monkeypatch.setattr(hanging.http, "send", hang)
    monkeypatch.setattr(auth, "REVOKE_S", 0.01)
    await hanging.login.revoke()
