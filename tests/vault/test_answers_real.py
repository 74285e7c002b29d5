"""What a real OpenBao answers in each situation that can be provoked, and what comes of it."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import pytest

from refresher.core.errors import (
    StoreConflictError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from refresher.core.model import Absent, HttpRequest, HttpResponse, Written
from refresher.core.secret import Secret
from refresher.demo.openbao import OpenBao
from refresher.vault.answers import Reply, classify, read_found, read_reply, read_written
from tests.servers.openbao import Space, new_space, vault_of
from tests.vault.test_real import LOGIN, Listening, end_of

pytestmark = pytest.mark.e2e

OURS, OTHER = {"access_token": Secret("AT-1")}, {"access_token": Secret("AT-2")}


class Uninitialised(OpenBao):
    """A server that was never initialised: it runs, and holds nothing."""

    def start(self) -> None:
        self._spawn()
        self._await(lambda: self._health() == 501)


@pytest.mark.answer("V2")
async def test_a_vault_that_was_never_initialised_is_away(tmp_path, space, wire):
    server = Uninitialised(tmp_path, "inmem")
    try:
        server.start()
        vault = vault_of(replace(space, server=server), wire)
        assert await vault.health() == "uninitialised"
        error = await end_of(vault.write(space.place("tokens/a"), OURS, cas=0))
        assert (type(error), error.code) == (StoreUnavailableError, "sealed")
    finally:
        server.close()


@pytest.mark.answer("V7")
@pytest.mark.nightly
async def test_a_step_down_heals_by_itself(openbao_raft, wire):
    space = new_space(openbao_raft)
    vault, place = vault_of(space, wire), space.place("tokens/a")
    await vault.write(place, OURS, cas=0)
    openbao_raft.api("PUT", "sys/step-down")

    written = None
    async with asyncio.timeout(60):
        while written is None:
            try:
                written = await vault.write(place, OTHER, cas=1)
            except StoreError as error:
                assert not isinstance(error, StoreRefusedError | StoreConflictError)  # noqa: PT017  # it passes
                await asyncio.sleep(0.1)

    assert written == Written(version=2)


@pytest.mark.answer("V1", "V15", "V16", "V17")
async def test_versions_that_are_missing_deleted_destroyed_or_anothers(openbao, space, vault):
    place = space.place("tokens/a")
    assert await vault.read(place) == Absent(version=0)
    assert await vault.write(place, OURS, cas=0) == Written(version=1)
    space.delete("tokens/a")
    assert await vault.read(place) == Absent(version=1)
    assert await vault.write(place, OURS, cas=1) == Written(version=2)
    openbao.api("PUT", f"{space.mount}/destroy/tokens/a", {"versions": [2]})
    assert await vault.read(place) == Absent(version=2)
    assert await vault.write(place, OURS, cas=2) == Written(version=3)

    assert await vault.write(place, OURS, cas=2) == Written(version=3)  # it landed before
    error = await end_of(vault.write(place, OTHER, cas=2))
    assert (type(error), error.code) == (StoreConflictError, "cas")


@pytest.mark.answer("V18")
@pytest.mark.parametrize("of", ["config", "metadata/tokens/a"])
async def test_a_mount_or_a_path_that_requires_check_and_set(openbao, space, vault, of):
    openbao.api("POST", f"{space.mount}/{of}", {"cas_required": True})
    place = space.place("tokens/a")
    await vault.prove(place)
    assert [(await vault.write(place, one, cas=cas)).version for cas, one in enumerate((OURS, OTHER))] == [1, 2]
    status, _ = openbao._ask("POST", f"{space.mount}/data/tokens/a", b'{"data":{}}', openbao.root_token)
    assert status == 400  # it does


@pytest.mark.answer("V11", "V14")
@pytest.mark.parametrize("deed", ["read", "write", "prove"])
@pytest.mark.parametrize(("mount", "path", "code"), [("", "elsewhere/a", "denied"), ("nomount", "tokens/a", "mount")])
async def test_what_the_policy_denies_and_a_mount_that_is_missing(space, vault, deed, mount, path, code):
    place = replace(space.place(path), mount=mount or space.mount)
    ports = {"read": (), "prove": (), "write": (OURS,)}[deed]
    error = await end_of(getattr(vault, deed)(place, *ports, **({"cas": 0} if deed == "write" else {})))
    assert (type(error), error.code) == (StoreRefusedError, code)


def expired(openbao: OpenBao, space: Space) -> Secret:
    token = made(openbao, space, ttl="1s")
    openbao._await(lambda: openbao._ask("GET", "auth/token/lookup-self", b"", token)[0] == 403)
    return token


def bogus(_openbao: OpenBao, _space: Space) -> Secret:
    return Secret("s.bogus")


def used_up(openbao: OpenBao, space: Space) -> Secret:
    token = made(openbao, space, num_uses=1)
    openbao._ask("GET", "auth/token/lookup-self", b"", token)
    return token


def orphaned(openbao: OpenBao, space: Space) -> Secret:
    parent = made(openbao, space, policies=["root"])
    child = Secret(openbao.api("POST", "auth/token/create", {}, token=parent)["auth"]["client_token"])
    openbao.api("POST", "auth/token/revoke", {"token": parent.reveal()})
    return child


def made(openbao: OpenBao, space: Space, **settings: object) -> Secret:
    asked = {"policies": [space.mount], **settings}
    return Secret(openbao.api("POST", "auth/token/create", asked)["auth"]["client_token"])


@pytest.mark.answer("V12")
@pytest.mark.fault("F18")
@pytest.mark.parametrize("dead", [expired, bogus, used_up, orphaned])
async def test_a_dead_token_of_any_kind_is_followed_by_one_login(openbao, space, wire, dead: Callable[..., Secret]):
    http = Listening(wire)
    vault = vault_of(space, http)
    await vault.login()
    vault._login._lease = replace(vault._login._lease, token=dead(openbao, space))

    assert await vault.write(space.place("tokens/a"), OURS, cas=0) == Written(version=1)
    assert http.paths.count(LOGIN) == 2


@pytest.mark.answer("V13")
@pytest.mark.leak("L19")
async def test_no_token_lies_about_that_is_taken(openbao, space, wire, monkeypatch, tmp_path):
    for name in ("VAULT_TOKEN", "BAO_TOKEN"):
        monkeypatch.setenv(name, openbao.root_token.reveal())
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text(openbao.root_token.reveal())
    error = await end_of(vault_of(space, wire, auth=replace(space.cluster.auth, role_id="nobody")).login())
    assert (type(error), error.code) == (StoreRefusedError, "login")
    limited = await end_of(vault_of(space, wire).read(space.place("elsewhere/a")))
    assert limited.code == "denied"  # root would read it


@pytest.mark.answer("V45")
async def test_a_secret_id_that_is_used_up(openbao, space, wire):
    path = f"auth/approle/role/{space.mount}/secret-id"
    once = Secret(openbao.api("PUT", path, {"num_uses": 1})["data"]["secret_id"])
    spent = replace(space, secret_id=once)
    await vault_of(spent, wire).login()
    error = await end_of(vault_of(spent, wire).login())
    assert (type(error), error.code) == (StoreRefusedError, "login")
    assert "role_id or secret_id is not valid" in str(error)


def asked(openbao: OpenBao, method: str, path: str, body: bytes) -> Reply:
    """Send as root what the wire would not: the adapter makes none of these."""
    connection = HTTPConnection(openbao.address.removeprefix("http://"), timeout=60)
    form = "application/merge-patch+json" if method == "PATCH" else "application/json"
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
            headers = {"X-Vault-Token": openbao.root_token.reveal(), "Content-Type": form}
            connection.request(method, f"/v1/{path}", body, headers)
        reply = connection.getresponse()
        return read_reply(HttpResponse(status=reply.status, body=reply.read()))
    finally:
        connection.close()


RAW = {
    "V19": ("POST", "{v2}/data/tokens/a", {"options": {"cas": "x"}, "data": {}}, 400, StoreRefusedError, "request"),
    "V20": ("GET", "{v2}/tokens/a", None, 404, StoreConflictError, "mount_version"),
    "V21": (
        "POST",
        "{v1}/data/tokens/a",
        {"options": {"cas": 0}, "data": {}},
        204,
        StoreConflictError,
        "mount_version",
    ),
    "V23": ("POST", "{v2}/data/tokens/a", {"a": "b"}, 400, StoreRefusedError, "request"),
    "V24": ("PATCH", "{v2}/data/tokens/missing", {"data": {"a": "b"}}, 404, StoreRefusedError, "mount"),
    "V25": ("POST", "sys/internal/ui/mounts", {}, 405, StoreRefusedError, "request"),
    "V26": ("POST", "{v2}/data/tokens/a", b"{", 400, StoreRefusedError, "request"),
    "V30": (
        "POST",
        "{v2}/data/tokens/a",
        b'{"data":"' + b"x" * (33 << 20) + b'"}',
        413,
        StoreRefusedError,
        "too_large",
    ),
    "V32": (
        "POST",
        "{v2}/data/tokens/a",
        {"data": {f"k{number}": "v" for number in range(20_000)}},
        400,
        StoreRefusedError,
        "too_large",
    ),
}


@pytest.mark.answer("V19", "V20", "V21", "V23", "V24", "V25", "V26", "V30", "V32")
@pytest.mark.parametrize("row", RAW)
async def test_a_request_that_refresher_never_makes_is_understood_all_the_same(openbao, space, space_v1, row):
    method, path, body, status, kind, code = RAW[row]
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    reply = asked(openbao, method, path.format(v2=space.mount, v1=space_v1.mount), sent)

    error = classify(reply, "write secret/x", write=True)

    assert (reply.status, type(error), error.code) == (status, kind, code)
    assert read_written(reply) is None
    assert read_found(reply, version=2) is None


@pytest.mark.answer("V30", "V32")
@pytest.mark.parametrize(
    "data", [{"access_token": Secret("x" * (33 << 20))}, {f"k{n}": Secret("v") for n in range(20_000)}]
)
async def test_what_vault_would_not_take_is_not_sent(space, wire, data):
    http = Listening(wire)
    error = await end_of(vault_of(space, http).write(space.place("tokens/a"), data, cas=0))
    assert (error.code, http.paths) == ("too_large", [])


@pytest.mark.answer("V31")
async def test_a_value_that_raft_does_not_take_is_refused_whatever_its_status(openbao_raft):
    reply = asked(openbao_raft, "POST", "secret/data/tokens/a", json.dumps({"data": {"a": "x" * (1 << 20)}}).encode())
    error = classify(reply, "write secret/x", write=True)
    assert (reply.status, type(error), error.code) == (500, StoreRefusedError, "too_large")


@pytest.mark.answer("V43")
async def test_an_answer_that_came_wrapped_is_no_acknowledgement(openbao, space, wire):
    headers = (("x-vault-token", openbao.root_token.reveal()), ("x-vault-wrap-ttl", "60s"))
    url = f"{openbao.address}/v1/{space.mount}/data/tokens/a"
    sent = HttpRequest(url=url, headers=headers, body=b'{"data":{"a":"b"}}')
    reply = read_reply(await wire.send(sent))
    assert (reply.status, read_written(reply)) == (200, None)
    assert classify(reply, "write secret/x", write=True).code == "garbage"
    assert "wrap" not in repr(reply)


@pytest.mark.answer("V50")
async def test_a_server_that_lost_all_it_had_is_logged_in_to_again_and_refuses(tmp_path: Path, wire):
    server = OpenBao(tmp_path, "inmem")
    try:
        server.start()
        http = Listening(wire)
        space = new_space(server)
        vault = vault_of(space, http)
        await vault.write(space.place("tokens/a"), OURS, cas=0)
        server.stop()
        await end_of(vault.health())
        server.start()

        error = await end_of(vault.write(space.place("tokens/a"), OURS, cas=1))

        assert (type(error), error.code, http.paths.count(LOGIN)) == (StoreRefusedError, "login", 2)
    finally:
        server.close()
