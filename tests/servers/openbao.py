"""A real OpenBao for tests, and in it a KV mount of one's own with the least login that can use it."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from refresher.core.model import Location, Reference
from refresher.core.secret import Secret
from refresher.core.settings import Auth, Cluster
from refresher.demo.openbao import OpenBao, start
from refresher.host.clock import SystemClock
from refresher.http import Wire
from refresher.vault import Vault, connect

SECRET_ID = Reference(kind="env", target="SECRET_ID")
SELF = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
"""
_numbers = itertools.count()


@dataclass(frozen=True)
class Space:
    """A KV mount that no other test uses, and an AppRole that may write `tokens/<name>` in it and nothing else."""

    server: OpenBao
    mount: str
    version: int
    role_id: str
    secret_id: Secret

    @property
    def cluster(self) -> Cluster:
        auth = Auth(method="approle", role_id=self.role_id, secret_id=SECRET_ID)
        return Cluster(address=self.server.address, mount=self.mount, auth=auth)

    def read(self, _reference: Reference) -> Secret:
        """Be the reader of the login's reference."""
        return self.secret_id

    def place(self, path: str) -> Location:
        return Location(mount=self.mount, path=path)

    def put(self, path: str, data: dict[str, object]) -> None:
        """Write as root, as somebody else would."""
        if self.version == 1:
            self.server.api("POST", f"{self.mount}/{path}", data)
        else:
            self.server.api("POST", f"{self.mount}/data/{path}", {"data": data})

    def delete(self, path: str) -> None:
        self.server.api("DELETE", f"{self.mount}/{path}" if self.version == 1 else f"{self.mount}/data/{path}")


def policy(mount: str, version: int = 2) -> str:
    """Return the least policy for `tokens/<name>` in `mount`."""
    data = "" if version == 1 else "data/"
    ask = 'path "sys/capabilities-self" { capabilities = ["update"] }\n' if version == 1 else ""
    return f'path "{mount}/{data}tokens/+" {{ capabilities = ["create", "update", "read"] }}\n{ask}{SELF}'


def new_space(server: OpenBao, version: int = 2, **role: object) -> Space:
    """Mount a fresh KV; `role` are settings of the AppRole (token_ttl, ...)."""
    name = f"kv-{next(_numbers)}"
    server.mount(name, version=version)
    role_id, secret_id = server.approle(name, policy(name, version), **role)
    return Space(server=server, mount=name, version=version, role_id=role_id, secret_id=secret_id)


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """One server for the whole run, in memory, with KV v2 at `secret/`. Do not stop or seal it."""
    with start(tmp_path_factory.mktemp("openbao")) as server:
        server.mount("secret")
        yield server


@pytest.fixture
def openbao_raft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A server for one test to stop, kill, seal and start again; its data stay. KV v2 at `secret/`."""
    with start(tmp_path_factory.mktemp("openbao"), storage="raft") as server:
        server.mount("secret")
        yield server


@pytest.fixture
def space(openbao: OpenBao) -> Space:
    """A KV v2 mount of one's own."""
    return new_space(openbao)


@pytest.fixture
def space_v1(openbao: OpenBao) -> Space:
    """A KV v1 mount of one's own."""
    return new_space(openbao, version=1)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A wire as the daemon has it for Vault."""
    wire = Wire(deadline=timedelta(seconds=5), keepalive=timedelta(seconds=300))
    yield wire
    await wire.aclose()


@pytest.fixture
def vault(space: Space, wire: Wire) -> Vault:
    """A client of `space`."""
    return vault_of(space, wire)


def vault_of(space: Space, wire: Wire, **cluster: object) -> Vault:
    """Make a client of `space`; `cluster` changes fields of its table."""
    return connect(replace(space.cluster, **cluster), wire, SystemClock(), space)
