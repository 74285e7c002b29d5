"""One running authorization server, as tests see it."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fakes.authority import Authority
from tests.servers.node import FOLDER, find_node, why_not

ROOT = FOLDER.parent.parent
START_S = 30
ANSWER_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A program of this folder. `client_auth` is the only way, or the usual one, in which it takes the secret."""

    program: str
    token_path: str
    client_auth: str
    scope: str
    user: bool = True
    tls: bool = False

    @property
    def node(self) -> bool:
        return not self.program.endswith(".py")


KINDS = {
    "semansys": Kind(program="semansys.cjs", token_path="/connect/token", client_auth="post", scope="read write"),
    "smartdocumentor": Kind(
        program="smartdocumentor.py", token_path="/connect/token", client_auth="post", scope="WebAPI", user=False
    ),
    "screening_eagle": Kind(
        program="screening_eagle.mjs",
        token_path="/api/id/v1/auth/token",
        client_auth="basic_raw",
        scope="openid email profile inspect",
        user=False,
    ),
    "oidc_provider": Kind(program="oidc_provider.mjs", token_path="/token", client_auth="basic", scope="read write"),
    "oidc_tls": Kind(program="oidc_provider.mjs", token_path="/token", client_auth="tls", scope="read write", tls=True),
    "oidc_consent": Kind(
        program="oidc_consent.mjs", token_path="/token", client_auth="basic", scope="openid offline_access read"
    ),
    "oauth2": Kind(program="oauth2.py", token_path="/token", client_auth="post", scope="read write"),
    "authlib": Kind(program="authlib_server.py", token_path="/token", client_auth="post", scope="read write"),
    "jmondi": Kind(program="jmondi.mjs", token_path="/token", client_auth="post", scope="read write"),
    "node_oauth2": Kind(program="node_oauth2.cjs", token_path="/token", client_auth="basic_raw", scope="read write"),
}
# Characters that percent-encoding, form-encoding and Basic each treat in their own way.
AWKWARD = "a+b/c=d:e%f g&h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One token request. `outcome`: the HTTP status, or hung, dropped, abandoned, pending."""

    at: float
    client: str
    grant: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What came to the token endpoint since the last reset. `at_once`: the most requests that were open together."""

    log: tuple[Line, ...]
    refresh_reused: int
    at_once: int

    @property
    def total(self) -> int:
        return len(self.log)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(line.outcome for line in self.log)

    @property
    def grants(self) -> Counter[str]:
        return Counter(line.grant for line in self.log)

    def of(self, client_id: str) -> "Stats":
        """Return the same for one client (the two counts stay those of all)."""
        mine = tuple(line for line in self.log if line.client == client_id)
        return Stats(log=mine, refresh_reused=self.refresh_reused, at_once=self.at_once)


class Provider:
    """A running server and the one client (and user) that it knows from the start; all values are for tests only.

    Safe to use from several threads. Its calls block for a few milliseconds.
    """

    def __init__(self, name: str, folder: Path) -> None:
        kind = KINDS[name]
        self.name = name
        self.client_auth = kind.client_auth
        self.scope = kind.scope
        self.client_id = f"{name}-client"
        self.client_secret = f"{name}-client-secret {AWKWARD}"
        self.username = f"user@{name}.example" if kind.user else ""
        self.password = f"{name}-password {AWKWARD}" if kind.user else ""
        self.log_file = folder / f"{name}.log"
        self.authority = Authority(folder / "tls") if kind.tls else None
        if self.authority is not None:
            self.authority.issue("server")
        self.process = start(kind, folder, self.log_file)
        self.url = self.ready()
        self.token_url = self.url + kind.token_path
        self.reset()

    def ready(self) -> str:
        # A timer rather than a read with a limit: a server that hangs at its start is ended, and the read with it.
        timer = threading.Timer(START_S, self.process.kill)
        timer.start()
        said = self.process.stdout.readline().split()
        timer.cancel()
        if said[:1] != ["ready"]:
            self.stop()
            pytest.fail(f"{self.name} did not start:\n{self.log_file.read_text()[-4000:]}")
        return said[1]

    def stop(self) -> None:
        """End the server and wait for it."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        address = urlsplit(self.url).netloc
        if self.authority is None:
            connection = http.client.HTTPConnection(address, timeout=ANSWER_S)
        else:
            trust = ssl.create_default_context(cafile=self.authority.ca_file)
            connection = http.client.HTTPSConnection(address, timeout=ANSWER_S, context=trust)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")
        finally:
            connection.close()

    def reset(self) -> None:
        """Forget all tokens, clients, faults and counts, and begin again with the first client and user."""
        self.control(reset=True, users={self.username: self.password} if self.username else {})
        self.add_client(self.client_id, secret=self.client_secret)

    def control(self, **wanted: Any) -> None:
        """Change the behaviour: ttl; delay_ms, fail, hang, outage for all or for one `client`; see harness.cjs."""
        status, answer = self.call("POST", "/_control", wanted)
        if status != http.client.OK:
            raise ValueError(answer["error"])

    def add_client(
        self,
        client_id: str,
        *,
        secret: str = "",
        ttl: int | None = None,
        scope: str | None = None,
        auth: str | None = None,
        **more: Any,
    ) -> None:
        """Register a client. `ttl`: seconds of its tokens, else the server's; `auth`: its `client_auth`.

        What signs has a `jwk`, its public key; for oidc-provider also `alg`, the one algorithm that it may use.
        With auth `tls`, `subject` is what its certificate must say, e.g. CN=refresher.
        `revokes_previous`, of @node-oauth/oauth2-server: a new access token of the client kills the one before it.
        """
        client = {
            **more,
            "secret": secret,
            "scope": scope or self.scope,
            "auth": (auth or self.client_auth).removesuffix("_raw"),
        }
        self.control(clients={client_id: client if ttl is None else {**client, "ttl": ttl}})

    def stats(self) -> Stats:
        _, counts = self.call("GET", "/_stats")
        return Stats(**{**counts, "log": tuple(Line(**line) for line in counts["log"])})

    def accepts(self, access_token: str) -> bool:
        """Call the protected resource: tell whether the server takes this token now."""
        return self.call("GET", "/api", headers={"Authorization": f"Bearer {access_token}"})[0] == http.client.OK


def start(kind: Kind, folder: Path, log_file: Path) -> "subprocess.Popen[str]":
    if kind.node:
        if reason := why_not():
            pytest.skip(reason)
        node, _ = find_node()
        command = [node, str(FOLDER / kind.program)]
    else:
        command = [sys.executable, "-m", f"tests.servers.{kind.program.removesuffix('.py')}", str(folder)]
    environ = dict(os.environ)
    if kind.tls:
        environ["TLS_FOLDER"] = str(folder / "tls")
    with log_file.open("w") as log:
        return subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
