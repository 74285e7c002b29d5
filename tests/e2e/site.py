"""One installation of refresher as an operator has it: a folder with jobs.toml and secrets, a Vault login, a daemon.

The daemon's policy is exactly the one that `refresher policy` prints for its jobs; its log is read as it comes.
"""

import itertools
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from refresher.config import load
from refresher.core import rights
from refresher.core.errors import ConfigError
from refresher.demo.openbao import OpenBao, OpenBaoError
from tests.guards.canaries import Canaries
from tests.servers.provider import Provider

REFRESHER = (sys.executable, "-m", "refresher")
LINE_S = 30
RECORD = "refresher/default/"
_numbers = itertools.count()


class Site:
    """A folder, a KV mount, and the jobs in it. `jobs` maps names to tables; `write()` makes jobs.toml of them."""

    def __init__(self, folder: Path, bao: OpenBao, mount: str) -> None:
        self.folder, self.bao, self.mount = folder, bao, mount
        self.canaries, self.outputs = Canaries(), []
        self.canaries.planted["root token"] = bao.root_token.reveal()
        self.jobs: dict[str, dict[str, Any]] = {}
        self.top: dict[str, Any] = {}  # keys before the first table
        self.tables: dict[str, dict[str, Any]] = {
            "log": {"level": "debug"},
            "state": {"dir": str(folder / "state")},
            "web": {"listen": ""},
        }
        self.role = f"{mount}-site-{next(_numbers)}"
        role_id, secret_id = bao.approle(self.role, "# no job yet")
        auth = {"method": "approle", "role_id": role_id, "secret_id": self.secret("vault", secret_id.reveal())}
        self.tables["vault"] = {"address": bao.address, "mount": mount, "auth": auth}

    @property
    def config(self) -> Path:
        return self.folder / "jobs.toml"

    def secret(self, name: str, text: str) -> str:
        """Keep `text` in a private file and return the reference to it."""
        self.canaries.planted[f"{name} {len(self.canaries.planted)}"] = text
        path = self.folder / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(text)
        return f"file:{path}"

    def twin(self, name: str) -> "Site":
        """Return another host with the same jobs: a folder, a state directory and a login of its own."""
        folder = self.folder / name
        folder.mkdir()
        twin = Site(folder, self.bao, self.mount)
        twin.jobs = self.jobs
        self.canaries.planted |= twin.canaries.planted
        twin.canaries, twin.outputs = self.canaries, self.outputs
        return twin

    def add(
        self, name: str, provider: Provider, *, ttl: int | None = None, revokes_previous: bool = False, **more: Any
    ) -> None:
        """Add a job with a client of its own at `provider`, whose tokens live `ttl` seconds."""
        client, secret = f"{name}-client", self.canaries.plant(f"{name} client secret", odd="+/= &%")
        provider.add_client(client, secret=secret, ttl=ttl, revokes_previous=revokes_previous)
        if revokes_previous:
            more["revokes_previous"] = True
        job: dict[str, Any] = {
            "client_id": client,
            "client_secret": self.secret(name, secret),
            "path": f"tokens/{name}",
        }
        match provider.name:
            case "semansys":
                user = {"username": provider.username, "password": self.secret("password", provider.password)}
                job |= {"provider": "semansys", "token_url": provider.token_url} | user
            case "smartdocumentor":
                job |= {"provider": "smartdocumentor", "token_url": provider.token_url}
            case "screening_eagle":
                job |= {"provider": "screening-eagle", "base_url": provider.url, "scope": provider.scope}
            case _:
                job |= {
                    "provider": "oauth2",
                    "token_url": provider.token_url,
                    "grant": "client_credentials",
                    "client_auth": provider.client_auth,
                    "scope": provider.scope,
                }
        self.jobs[name] = job | more

    def write(self) -> None:
        """Write jobs.toml, atomically as an editor would."""
        tables = self.tables | {f'jobs."{name}"': table for name, table in self.jobs.items()}
        draft = self.config.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(
            lines_of(self.top) + "".join(f"[{name}]\n{lines_of(table)}\n" for name, table in tables.items())
        )
        self.allow(draft)
        draft.rename(self.config)

    def allow(self, config: Path, *, but: str = "nothing") -> None:
        """Give the daemon's login the policy that `refresher policy` prints for `config`, while that has no mistake.

        `but`: what is in the lines that are left out.
        """
        with suppress(ConfigError):
            policy = next(one for one in rights.policies(load(config), {}) if not one.cluster)
            lines = [line for line in policy.hcl().splitlines() if but not in line]
            self.bao.api("PUT", f"sys/policies/acl/{self.role}", {"policy": "\n".join(lines)})

    def run(self, *words: str, program: tuple[str, ...] = REFRESHER, **how: Any) -> "subprocess.CompletedProcess[str]":
        """Run a verb to its end and return what it said. `program` stands in for refresher."""
        command = [*program, *words, "--config", str(self.config)]
        done = subprocess.run(command, cwd=self.folder, text=True, capture_output=True, timeout=60, check=False, **how)
        self.outputs += [done.stdout, done.stderr]
        return done

    @contextmanager
    def daemon(self, *program: str) -> Iterator["Daemon"]:
        """Start `refresher run`, or a program that stands in for refresher, and see to it that it ends."""
        self.write()
        daemon = Daemon(self, program or REFRESHER)
        try:
            yield daemon
        finally:
            daemon.kill()
            self.outputs.append("".join(daemon.text))

    def check_outputs(self) -> None:
        """Fail if a secret that was put in, or a token that came out, is to be seen in any output or kept in a file."""
        for job, table in self.jobs.items():
            for path, members in ((table["path"], ("access_token", "id_token")), (RECORD + job, ("refresh_token",))):
                held = self.read(path) or {}
                self.canaries.planted |= {f"{job} {name}": held[name] for name in members if name in held}
        state = self.folder / "state"
        self.canaries.check(*self.outputs, *([state] if state.exists() else []))

    def token(self, job: str) -> dict[str, str] | None:
        """Return what a reader finds at the job's path, None where nothing is."""
        return self.read(str(self.jobs[job]["path"]))

    def read(self, path: str) -> dict[str, str] | None:
        try:
            return self.bao.api("GET", f"{self.mount}/data/{path}")["data"]["data"]
        except (OpenBaoError, ConnectionError):  # nothing there, or the test has stopped the server
            return None

    def versions(self, job: str) -> int:
        """Return how many versions were written to the job's path."""
        return self.bao.api("GET", f"{self.mount}/metadata/{self.jobs[job]['path']}")["data"]["current_version"]

    def history(self, path: str) -> list[dict[str, str]]:
        """Return the data of every version, the oldest first; as many as the mount keeps."""
        known = self.bao.api("GET", f"{self.mount}/metadata/{path}")["data"]["versions"]
        one = f"{self.mount}/data/{path}?version="
        return [self.bao.api("GET", f"{one}{number}")["data"]["data"] for number in sorted(map(int, known))]

    def written_at(self, path: str) -> list[float]:
        """Return when each version was written to `path`, in Unix seconds; as many as the mount keeps."""
        known = self.bao.api("GET", f"{self.mount}/metadata/{path}")["data"]["versions"]
        return sorted(datetime.fromisoformat(one["created_time"]).timestamp() for one in known.values())

    @property
    def holder(self) -> str:
        """The id in its state directory."""
        return json.loads((self.folder / "state" / "identity-default.json").read_text())["holder"]


class Daemon:
    """A running `refresher run`, and what it has logged so far."""

    def __init__(self, site: Site, program: tuple[str, ...] = REFRESHER) -> None:
        self.events: list[dict[str, Any]] = []
        self.text: list[str] = []
        self._new: queue.Queue[dict[str, Any] | None] = queue.Queue()
        command = [*program, "run", "--config", str(site.config)]
        self.process = subprocess.Popen(command, cwd=site.folder, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.text.append(line)
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "not JSON", "line": line}
            self.events.append(event)
            self._new.put(event)
        self._new.put(None)

    def wait_for(self, event: str, *, within: float = LINE_S, **fields: Any) -> dict[str, Any]:
        """Return the next line of `event` with these fields; fail when none comes in time."""
        return self.wait_until(lambda line: line["event"] == event and fields.items() <= line.items(), within=within)

    def wait_until(self, fits: Callable[[dict[str, Any]], bool], *, within: float = LINE_S) -> dict[str, Any]:
        ends = time.monotonic() + within
        while True:
            try:
                line = self._new.get(timeout=max(ends - time.monotonic(), 0.001))
            except queue.Empty:
                line = None
            assert line is not None, f"this line did not come within {within} s; the log:\n{''.join(self.text[-50:])}"
            if fits(line):
                return line

    def lines(self, *events: str, job: str | None = None, level: str | None = None) -> list[dict[str, Any]]:
        """Return the lines so far, of some events, one job, one level."""
        return [
            line
            for line in self.events
            if (not events or line["event"] in events)
            and job in (None, line.get("job"))
            and level in (None, line["level"])
        ]

    def stop(self, how: signal.Signals = signal.SIGTERM, *, within: float = 40) -> int:
        """Signal the daemon, wait for its end, and return its exit code."""
        self.process.send_signal(how)
        code = self.process.wait(timeout=within)
        self._reader.join(timeout=5)
        return code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._reader.join(timeout=5)
        self.process.stderr.close()


def lines_of(table: Mapping[str, Any]) -> str:
    """Return the lines of a TOML table."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return json.dumps(value)
