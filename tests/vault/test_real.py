"""A real OpenBao in trouble: what it answers then, and what comes of it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refresher.core.errors import StoreConflictError, StoreError, StoreRefusedError, StoreUnavailableError
from refresher.core.model import Absent, HttpRequest, HttpResponse, Reference, Written
from refresher.core.secret import Secret
from refresher.core.settings import Auth
from refresher.host.clock import SystemClock
from refresher.http import Wire
from refresher.vault import ReferenceReader, connect
from tests.servers.openbao import new_space, vault_of
from tests.vault.builders import Local

pytestmark = pytest.mark.e2e

TOKEN = {"access_token": Secret("AT-1")}
LOGIN = "/v1/auth/approle/login"


class Listening:
    """A wire that remembers the paths that were asked for, and tells when an answer was lost."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.paths: list[str] = []
        self.lost = asyncio.Event()

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.paths.append("/" + request.url.split("/", 3)[3])
        try:
            return await self._wire.send(request)
        except Exception:
            self.lost.set()
            raise


async def end_of(deed: object) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await deed
    return caught.value


@pytest.fixture
async def impatient() -> AsyncIterator[Listening]:
    wire = Wire(deadline=timedelta(seconds=2), keepalive=timedelta(seconds=300))
    yield Listening(wire)
    await wire.aclose()


@pytest.mark.fault("F8")
@pytest.mark.answer("V3")
async def test_a_sealed_vault_heals_without_a_login(openbao_raft, wire):
    space, http = new_space(openbao_raft), Listening(wire)
    vault = vault_of(space, http)
    await vault.write(space.place("tokens/a"), TOKEN, cas=0)
    openbao_raft.seal()

    error = await end_of(vault.write(space.place("tokens/a"), TOKEN, cas=1))
    assert (type(error), error.code, await vault.health()) == (StoreUnavailableError, "sealed", "sealed")
    openbao_raft.unseal()

    assert (await vault.write(space.place("tokens/a"), TOKEN, cas=1)).version == 2
    assert await vault.health() == "active"
    assert http.paths.count(LOGIN) == 1


@pytest.mark.answer("V35")
async def test_a_vault_that_was_restarted_takes_the_same_token(openbao_raft, wire):
    space, http = new_space(openbao_raft), Listening(wire)
    vault = vault_of(space, http)
    await vault.write(space.place("tokens/a"), TOKEN, cas=0)
    openbao_raft.stop()
    await end_of(vault.health())  # the connection that was kept is seen to be closed: nothing is sent on it

    error = await end_of(vault.write(space.place("tokens/a"), TOKEN, cas=1))
    assert (type(error), error.code) == (StoreUnavailableError, "transport")
    openbao_raft.start()

    assert (await vault.write(space.place("tokens/a"), TOKEN, cas=1)).version == 2
    assert http.paths.count(LOGIN) == 1


@pytest.mark.fault("F13")
@pytest.mark.answer("V9")
async def test_a_write_to_a_frozen_vault_lands_once(openbao_raft, impatient, measured):
    space = new_space(openbao_raft)
    vault = vault_of(space, impatient)
    await vault.read(space.place("tokens/a"))
    os.kill(openbao_raft.pid, signal.SIGSTOP)

    async with asyncio.TaskGroup() as group:
        write = group.create_task(vault.write(space.place("tokens/a"), TOKEN, cas=0))
        await impatient.lost.wait()
        os.kill(openbao_raft.pid, signal.SIGCONT)

    stands = (await vault.read(space.place("tokens/a"))).version
    measured(f"a write that was answered too late: told as version {write.result().version}, {stands} stands there")
    assert write.result() == Written(version=1)
    assert stands == 1


@pytest.mark.fault("F16")
@pytest.mark.answer("V41")
async def test_a_short_token_is_kept_alive_and_followed_by_another(openbao, wire):
    space = new_space(openbao, token_ttl="2s", token_max_ttl="4s")
    http = Listening(wire)
    vault = vault_of(space, http)
    place = space.place("tokens/a")

    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(vault.keep())
        stood = 0.0
        for _ in range(30):  # six seconds: past the longest life
            began = time.monotonic()
            assert await vault.read(place) == Absent(version=0)
            await asyncio.sleep(0.2)
            stood = max(stood, time.monotonic() - began)
        keeper.cancel()

    asked = [path.rpartition("/")[2] for path in http.paths if path.startswith("/v1/auth/")]
    assert asked.count("login") >= 2
    assert "renew-self" in asked
    assert "lookup-self" not in asked or stood > 0.6, "no request met a dead token, unless the machine stood still"


@pytest.mark.fault("F17")
@pytest.mark.answer("V12")
async def test_a_revoked_token_is_replaced(openbao, space, wire):
    http = Listening(wire)
    vault = vault_of(space, http)
    await vault.write(space.place("tokens/a"), TOKEN, cas=0)
    openbao.api("POST", "auth/token/revoke", {"token": vault._login._lease.token.reveal()})

    assert (await vault.write(space.place("tokens/a"), TOKEN, cas=1)).version == 2
    assert http.paths.count(LOGIN) == 2


async def test_an_end_revokes_the_login(openbao, vault):
    await vault.login()
    token = {"token": vault._login._lease.token.reveal()}
    openbao.api("POST", "auth/token/lookup", token)

    await vault.aclose()

    assert (
        openbao._ask("POST", "auth/token/lookup", str(token).replace("'", '"').encode(), openbao.root_token)[0] == 403
    )


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role_id": "nobody"}, "role_id or secret_id is not valid"),
        ({"mount": "nowhere"}, "there is no such auth method"),
    ],
)
@pytest.mark.answer("V45")
async def test_a_login_that_is_refused(space, wire, change, why):
    vault = vault_of(space, wire, auth=replace(space.cluster.auth, **change))

    error = await end_of(vault.login())

    assert (type(error), error.code) == (StoreRefusedError, "login")
    assert why in str(error)


@pytest.mark.answer("V27")
async def test_a_namespace_that_is_none(space, wire):
    error = await end_of(vault_of(space, wire, namespace="nowhere").login())

    assert (error.code, "no such namespace" in str(error)) == ("login", True)


@pytest.mark.answer("V51")
async def test_a_given_token(openbao, space, wire):
    reference = Reference(kind="file", target="/run/vault-token")
    cluster = replace(space.cluster, auth=Auth(method="token", token=reference))
    root = connect(cluster, wire, SystemClock(), Local(openbao.root_token.reveal() + "\n"))

    assert (await root.write(space.place("anywhere"), TOKEN, cas=0)).version == 1
    await root.aclose()
    assert (await root.read(space.place("anywhere"))).version == 1  # it was not revoked
    bogus = await end_of(connect(cluster, wire, SystemClock(), Local("hvs.bogus")).login())
    assert (type(bogus), bogus.code, bogus.status) == (StoreRefusedError, "login", 403)


@pytest.mark.fault("F15")
@pytest.mark.answer("V28")
async def test_a_quota_tells_when_to_come_back(openbao, space, vault):
    place = space.place("tokens/a")
    await vault.read(place)
    openbao.api("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
    quota = {"path": space.mount, "rate": 1, "interval": "60s"}
    openbao.api("POST", f"sys/quotas/rate-limit/{space.mount}", quota)
    try:
        await vault.read(place)
        error = await end_of(vault.read(place))
    finally:
        openbao.api("DELETE", f"sys/quotas/rate-limit/{space.mount}")

    assert (type(error), error.code, error.status) == (StoreUnavailableError, "quota", 429)
    assert 0 < error.retry_after <= 60


@pytest.mark.fault("F21")
@pytest.mark.answer("V21")
async def test_a_mount_that_is_exchanged_for_v1_is_found_out(openbao, space, vault):
    place = space.place("tokens/a")
    await vault.write(place, TOKEN, cas=0)
    openbao.api("DELETE", f"sys/mounts/{space.mount}")
    openbao.mount(space.mount, version=1)
    policy = f'path "{space.mount}/*" {{ capabilities = ["create", "update", "read"] }}'
    openbao.api("PUT", f"sys/policies/acl/{space.mount}", {"policy": policy})

    error = await end_of(vault.write(place, TOKEN, cas=1))

    assert (type(error), error.code) == (StoreConflictError, "mount_version")
    assert await vault.read(place) == Absent(version=None)
    assert await vault.write(place, TOKEN, cas=None) == Written(version=None)


@pytest.mark.fault("F21")
@pytest.mark.answer("V20", "V22")
async def test_a_mount_that_is_upgraded_to_v2_is_found_out(openbao, space_v1, wire, measured):
    vault, place = vault_of(space_v1, wire), space_v1.place("tokens/a")
    await vault.write(place, TOKEN, cas=None)
    policy = f'path "{space_v1.mount}/data/*" {{ capabilities = ["create", "update", "read"] }}\n'
    openbao.api("PUT", f"sys/policies/acl/{space_v1.mount}", {"policy": policy + _old(space_v1.mount)})
    openbao.api("POST", f"sys/mounts/{space_v1.mount}/tune", {"options": {"version": "2"}})

    found, began = None, time.monotonic()
    while found is None:
        try:
            found = await vault.read(place)
        except StoreUnavailableError as error:
            assert error.code == "upgrading"  # noqa: PT017  # it may take a moment
            await asyncio.sleep(0.05)

    took = time.monotonic() - began
    measured(f"upgraded: read again {took:.2f} s after")
    assert (found.version, dict(found.data)) == (1, TOKEN)
    assert took <= 30


def _old(mount: str) -> str:
    return f'path "{mount}/tokens/*" {{ capabilities = ["read"] }}\n'


async def test_what_will_be_deleted_is_told(openbao, space, vault):
    openbao.api("POST", f"{space.mount}/config", {"delete_version_after": "60s"})
    place = space.place("tokens/a")

    written = await vault.write(place, TOKEN, cas=0)

    left = written.deletion_time - datetime.now(UTC)
    assert timedelta(seconds=50) < left < timedelta(seconds=70)
    assert (await vault.read(place)).deletion_time == written.deletion_time
    assert await vault.write(place, TOKEN, cas=0) == written


async def test_marks_are_read_with_the_data(openbao, space, vault):
    place = space.place("tokens/a")
    await vault.write(place, TOKEN, cas=0)
    openbao.api("POST", f"{space.mount}/metadata/tokens/a", {"custom_metadata": {"managed-by": "refresher"}})

    assert (await vault.read(place)).metadata == {"managed-by": "refresher"}


async def test_a_reference_below_a_mount_with_slashes(openbao, space, wire):
    openbao.mount(f"{space.mount}-team/kv")
    space.put("tokens/a", {"client_secret": "one"})
    openbao.api("POST", f"{space.mount}-team/kv/data/clients/crm", {"data": {"client_secret": "two"}})
    rights = f'path "{space.mount}-team/kv/data/clients/+" {{ capabilities = ["read"] }}\n'
    policies = openbao.api("GET", f"sys/policies/acl/{space.mount}")["data"]["policy"]
    openbao.api("PUT", f"sys/policies/acl/{space.mount}", {"policy": policies + rights})
    reader = ReferenceReader(space, {"": vault_of(space, wire)})

    found = await reader.resolve(
        {
            target: Reference(kind="vault", target=f"{space.mount}{target}", field="client_secret")
            for target in ("/tokens/a", "-team/kv/clients/crm")
        }
    )

    assert [secret.reveal() for secret in found.values()] == ["one", "two"]


async def test_forty_at_once(space, vault):
    places = [space.place(f"tokens/{number}") for number in range(40)]

    async with asyncio.TaskGroup() as group:
        writes = [group.create_task(vault.write(place, TOKEN, cas=0)) for place in places]

    assert {write.result().version for write in writes} == {1}
