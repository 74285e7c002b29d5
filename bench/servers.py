"""What a benchmark stands on: a real OpenBao, a token endpoint, and jobs.toml for any number of jobs."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refresher.core.secret import Secret
from refresher.demo import openbao
from refresher.demo.openbao import OpenBao

TOKEN_BYTES: Final = 900  # of an access token: about what a JWT has
LIFETIME: Final = 3600  # seconds
POLICY: Final = 'path "*" { capabilities = ["create", "update", "read", "list", "delete", "sudo"] }'


@contextmanager
def token_endpoint(ports: int = 1, *, lifetime: int = LIFETIME) -> Iterator[list[str]]:
    """Run the stub and yield its URLs, one a port."""
    command = [sys.executable, "-m", "bench.stub", str(ports), str(lifetime), str(TOKEN_BYTES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield [f"http://127.0.0.1:{port}/token" for port in json.loads(process.stdout.readline())]
        finally:
            process.stdin.close()
            process.wait(10)


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="refresher-bench.") as name:
        yield Path(name)


@dataclass(frozen=True, slots=True)
class House:
    """A folder, a Vault at `address` and a login to it, and the token endpoints."""

    folder: Path
    address: str
    role_id: str
    urls: Sequence[str]

    def config(self, jobs: int, *, per_host: int = 8, total: int = 11, listen: str = "", name: str = "jobs") -> Path:
        """Write a jobs.toml and return where it is.

        With the usual limits eight requests are under way at one host: a quarter of `total` is for other hosts.
        """
        secret = private(self.folder / "client.secret", "canary-of-a-client")
        head = f"""\
drift_check = "30d"
[vault]
address = "{self.address}"
auth = {{ method = "approle", role_id = "{self.role_id}", secret_id = "file:{self.folder / "vault.secret"}" }}
[state]
dir = "{self.folder / "state"}"
[web]
listen = "{listen}"
[limits]
per_host = {per_host}
total = {total}
"""
        tables = (
            f"""\
[jobs.job-{number:06}]
provider = "oauth2"
token_url = "{self.urls[number % len(self.urls)]}"
grant = "client_credentials"
client_auth = "post"
client_id = "client-{number:06}"
client_secret = "file:{secret}"
scope = ["orders"]
path = "tokens/job-{number:06}"
"""
            for number in range(jobs)
        )
        return private(self.folder / f"{name}.toml", head + "".join(tables))


@contextmanager
def house(ports: int = 1, *, lifetime: int = LIFETIME) -> Iterator[tuple[House, OpenBao]]:
    """Start OpenBao (storage in memory) and the token endpoint."""
    with folder() as where, _openbao(where) as bao, token_endpoint(ports, lifetime=lifetime) as urls:
        bao.mount("secret")
        role_id, secret_id = bao.approle("bench", POLICY, token_ttl="700h")  # noqa: S106  # how long it lives
        private(where / "vault.secret", secret_id.reveal())
        yield House(where, bao.address, role_id, urls), bao


_shared: list[OpenBao] = []


@contextmanager
def one_for_all() -> Iterator[None]:
    """Have all houses stand on one OpenBao, one after the other: a smoke run starts it once."""
    with folder() as where, openbao.start(where) as bao:
        _shared.append(bao)
        yield
        _shared.clear()


@contextmanager
def _openbao(where: Path) -> Iterator[OpenBao]:
    if not _shared:
        with openbao.start(where) as bao:
            yield bao
        return
    yield _shared[0]
    _shared[0].api("DELETE", "sys/mounts/secret")


@contextmanager
def empty_house(urls: Sequence[str] = ("http://127.0.0.1:9/token",)) -> Iterator[House]:
    """Start nothing: for the instant wire of bench/fleet.py."""
    with folder() as where:
        private(where / "vault.secret", "canary-of-a-login")
        yield House(where, "http://127.0.0.1:9", "bench", urls)


def private(path: Path, text: str) -> Path:
    """Write a file that nobody else may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def token_of(bao: OpenBao) -> Secret:
    """Return the token that contestants other than refresher use."""
    return bao.root_token
