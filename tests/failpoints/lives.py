"""Lives of one daemon: started, ended at a failpoint or by a signal, started again; and what stands after each.

All run side by side on one event loop, against one OpenBao and one provider, each with an instance of its own.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refresher.demo.openbao import OpenBao, OpenBaoError
from tests.e2e.site import lines_of
from tests.failpoints.provider import Account, StrictProvider

ROOT = Path(__file__).parents[2]
# Of all the daemons that share one login: `refresher policy` prints whole paths, for one.
POLICY = """
path "{mount}/data/tokens/*" {{ capabilities = ["create", "update", "read"] }}
path "{mount}/data/refresher/*" {{ capabilities = ["create", "update", "read"] }}
path "{mount}/data/clients/*" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""
MOUNT = "failpoints"
LOOK_S = 0.05
POLITE = ("nice", "-n", "10")  # dozens start at once, and other tests want the processors too
VAULT_TOKEN_S = 8  # so that it is renewed while a test looks on
_numbers = itertools.count()


@dataclass(eq=False)
class Life:
    """One process of a daemon. `ended` holds its exit code then; a signal's number is below zero."""

    pid: int
    log: Path
    began: float
    ended: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _read: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    def events(self, *names: str) -> list[dict[str, Any]]:
        """Return what it has logged so far; `seen` is when we read it, on the monotonic clock."""
        if self.log.exists():
            with self.log.open("rb") as stream:
                stream.seek(self._read)
                whole = stream.read()
            whole = whole[: whole.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                self._events.append({**_event(line), "seen": time.monotonic()})
        return [one for one in self._events if not names or one["event"] in names]

    async def event(self, name: str, *, within: float, after: float = 0) -> dict[str, Any] | None:
        """Return the first line of `name` that was seen later than `after`; None when none comes, or the life ends."""
        ends = time.monotonic() + within
        while True:
            over = self.ended.done() or time.monotonic() > ends
            found = next((one for one in self.events(name) if one["seen"] > after), None)
            if found is not None or over:
                return found
            await asyncio.sleep(LOOK_S)

    def send(self, which: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):  # it has ended by itself, and its parent is about to say so
                os.kill(self.pid, which)

    async def end(self, which: signal.Signals, *, within: float = 45) -> int:
        """Signal it, and return its exit code."""
        self.send(which)
        return await asyncio.wait_for(asyncio.shield(self.ended), within)


def _event(line: bytes) -> dict[str, Any]:
    if line.startswith(b"refresher run: unexpected "):
        return {"event": "ended by a defect"}  # the verb's last word
    try:
        return json.loads(line)
    except ValueError:
        return {"event": "not JSON", "line": line.decode(errors="replace")}


class Nursery:
    """Starts lives as forks of one process that has everything imported. Make it with `nursery`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._starting: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
        self._lives: dict[int, Life] = {}
        self.started = 0

    async def start(self, config: Path, log: Path, *words: str) -> Life:
        """Run the daemon of `config`; `words` say what is to happen at which point (tests/failpoints/__main__.py)."""
        said = asyncio.get_running_loop().create_future()
        wanted = {"words": [*words, "--", "run", "--config", str(config)], "log": str(log)}
        self._starting.put_nowait(said)
        began = time.monotonic()
        self._process.stdin.write(json.dumps(wanted).encode() + b"\n")
        pid = await said
        self.started += 1
        self._lives[pid] = life = Life(pid, log, began)
        return life

    async def listen(self) -> None:
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "ended" in said:
                self._lives.pop(said["pid"]).ended.set_result(said["ended"])
            else:
                self._starting.get_nowait().set_result(said["pid"])
                await asyncio.sleep(0)  # let it be known before its end is read


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Start the process that forks; all lives end with it."""
    process = await asyncio.create_subprocess_exec(
        *POLITE, sys.executable, "-m", "tests.failpoints", "serve", cwd=ROOT, stdin=-1, stdout=-1
    )
    one = Nursery(process)
    listening = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        process.stdin.close()
        await process.wait()
        await listening


@dataclass(eq=False)
class Daemon:
    """One installation: instance, folder and job of its own. `lives` are its processes, in order."""

    name: str
    folder: Path
    bao: OpenBao
    provider: StrictProvider
    nursery: Nursery
    lives: list[Life] = field(default_factory=list)

    @property
    def account(self) -> Account:
        return self.provider.accounts[self.name]

    async def start(self, *words: str) -> Life:
        log = self.folder / f"{len(self.lives)}.log"
        self.lives.append(await self.nursery.start(self.folder / "jobs.toml", log, *words))
        return self.lives[-1]

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [one for life in self.lives for one in life.events(*names)]

    async def read(self, path: str) -> dict[str, str]:
        """Return what stands in Vault; nothing where nothing does."""

        def ask() -> dict[str, str]:
            try:
                return self.bao.api("GET", f"{MOUNT}/data/{path}")["data"]["data"]
            except OpenBaoError:
                return {}

        return await asyncio.to_thread(ask)

    async def wrongs(self, *, lost: int = 0) -> list[str]:
        """Say what is wrong after an orderly end: every promise that does not depend on what happened.

        `lost`: full grants whose answer nobody may have read. They spend nothing, and are asked for again.
        """
        account = self.account
        token = (await self.read(f"tokens/{self.name}")).get("access_token", "")
        record = await self.read(f"refresher/{self.name}/job")
        unknown = len({one["timestamp"] for one in self.events("grant_unknown")})
        texts = "".join(
            life.log.read_text() for life in self.lives if life.log.exists()
        )  # it may end before its first line
        found = {
            "the token in Vault is not the newest": token != account.newest,
            "the state record is not idle": record.get("phase") != "idle",
            "the refresh token in Vault is not the newest": record.get("refresh_token") != account.valid,
            f"{account.reused} refresh tokens were sent twice": account.reused > 0,
            f"{account.refused} refresh tokens were refused": account.refused > 0,
            f"{account.grants['password']} full grants, {unknown} told of as unknown": (
                account.grants["password"] > 1 + unknown + lost
            ),
            "a line that is not JSON": bool(self.events("not JSON")),
            "a secret in the log": any(secret in texts for secret in (account.valid, *account.alive, *account.spent)),
        }
        return [wrong for wrong, holds in found.items() if holds]


class Yard:
    """Where daemons are set up: one mount, one login, one provider."""

    def __init__(self, folder: Path, bao: OpenBao, provider: StrictProvider, nursery: Nursery) -> None:
        self.folder, self.bao, self.provider, self.nursery = folder, bao, provider, nursery
        self._secrets = {"client": "client-secret", "user": "pass-word"}
        if f"{MOUNT}/" not in bao.api("GET", "sys/mounts"):
            bao.mount(MOUNT)
        role_id, secret_id = bao.approle(MOUNT, POLICY.format(mount=MOUNT), token_ttl=f"{VAULT_TOKEN_S}s")
        self._secrets["login"] = secret_id.reveal()
        for name, text in self._secrets.items():
            path = folder / f"{name}.secret"
            path.touch(mode=0o600)
            path.write_text(text)
        login = {"method": "approle", "role_id": role_id, "secret_id": f"file:{folder}/login.secret"}
        self._vault = {"address": bao.address, "mount": MOUNT, "auth": login}

    def daemon(self, **job: Any) -> Daemon:
        """Set up one more, of one job whose refresh tokens are spent by their use."""
        name = f"d{next(_numbers)}"
        folder = self.folder / name
        folder.mkdir()
        tables = {
            "instance": {"name": name},
            "log": {"level": "debug"},
            "state": {"dir": str(folder / "state")},
            "web": {"listen": ""},
            "vault": self._vault,
            "jobs.job": {
                "provider": "semansys",
                "token_url": self.provider.url,
                "client_id": name,
                "client_secret": f"file:{self.folder}/client.secret",
                "username": "u",
                "password": f"file:{self.folder}/user.secret",
                "path": f"tokens/{name}",
                **job,
            },
        }
        config = folder / "jobs.toml"
        config.touch(mode=0o600)
        config.write_text("".join(f"[{table}]\n{lines_of(members)}\n" for table, members in tables.items()))
        return Daemon(name, folder, self.bao, self.provider, self.nursery)


@asynccontextmanager
async def yard(folder: Path, bao: OpenBao, *, ttl: int, delay: float = 0) -> AsyncIterator[Yard]:
    async with StrictProvider(ttl=ttl, delay=delay) as provider, nursery() as forks:
        yield Yard(folder, bao, provider, forks)


async def side_by_side(deeds: list[Callable[[], Any]], *, at_once: int) -> list[Any]:
    """Await all, so many at a time, and return what they return, in order."""
    results: list[Any] = [None] * len(deeds)
    waiting = iter(enumerate(deeds))

    async def worker() -> None:
        for number, deed in waiting:
            results[number] = await deed()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return results
