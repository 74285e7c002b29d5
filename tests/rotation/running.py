"""A daemon as it is wired, on fakes at its outermost borders, in virtual time; its signals are real."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from refresher import config, daemon, parts
from refresher.core.model import Location
from refresher.scheduler import apscheduler
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.provider import FakeProvider
from tests.fakes.scheduler import FakeScheduler
from tests.rotation.stage import Memory, SlowStore

FIRST = {"path": "tokens/first", "client_id": "first"}
SECOND = {"path": "tokens/second", "client_id": "second"}


class Cluster(SlowStore):
    """A cluster with its login, as the daemon sees it."""

    def __init__(self, site: "Site", cluster) -> None:
        super().__init__(site.clock)
        self.cluster = cluster
        self.login_error: Exception | None = site.login_error
        self.kept = self.keeps = self.closed = 0

    async def login(self) -> None:
        if self.login_error is not None:
            raise self.login_error

    async def keep(self) -> None:
        self.kept, self.keeps = self.kept + 1, self.keeps + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.keeps -= 1

    async def perishable(self) -> None:
        return None

    async def aclose(self) -> None:
        self.closed += 1


class Wire(FakeProvider):
    async def aclose(self) -> None:
        pass


class Ear(Memory):
    """Says when it was told of a reload."""

    def __init__(self) -> None:
        super().__init__()
        self.reloaded = asyncio.Event()

    def tell(self, event) -> None:
        super().tell(event)
        if event.name.startswith("reload"):
            self.reloaded.set()


class Site:
    """A folder with jobs.toml, and a daemon that runs on it in virtual time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "jobs.toml"
        self.clock = VirtualClock()
        self.provider = Wire(self.clock)
        self.sink = Ear()
        self.stop = asyncio.Event()
        self.clusters: list[Cluster] = []
        self.login_error: Exception | None = None
        self.tables = {
            "vault": {"address": "https://vault.example.com", "auth": {"method": "token", "token": "env:VAULT"}},
            "state": {"dir": str(folder / "state")},
            "web": {"listen": ""},
        }
        monkeypatch.setenv("CLIENT_SECRET", "s3cret")
        monkeypatch.setattr(parts, "SystemClock", lambda: self.clock)
        monkeypatch.setattr(parts, "Channels", lambda **_: self.provider)
        monkeypatch.setattr(parts, "connect", self.connect)
        monkeypatch.setattr(apscheduler, "Bell", FakeScheduler)

    def connect(self, cluster, *_ports) -> Cluster:
        self.clusters.append(Cluster(self, cluster))
        return self.clusters[-1]

    def write(self, text: str | None = None, **jobs: dict[str, str]) -> None:
        usual = {"provider": "oauth2", "token_url": "https://a.example.com/token", "grant": "client_credentials"}
        usual |= {"client_auth": "post", "client_secret": "env:CLIENT_SECRET"}
        lines = ["[vault]", *(f"{key} = {value(one)}" for key, one in self.tables["vault"].items())]
        for name, table in [*self.tables.items()][1:]:
            lines += [f"[{name}]", *(f"{key} = {value(one)}" for key, one in table.items())]
        for name, job in jobs.items():
            lines += [f"[jobs.{name}]", *(f"{key} = {value(one)}" for key, one in (usual | job).items())]
        self.file.write_text("\n".join(lines) if text is None else text)
        self.file.chmod(0o600)

    @asynccontextmanager
    async def running(self):
        """Run while the block lasts; `code` is what it ended with."""
        started = asyncio.Event()
        settings = config.load(self.file)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(
                daemon.run(settings, sinks=(self.sink,), stop=self.stop, started=lambda *_: started.set())
            )
            await settle()
            yield self
            self.stop.set()
            self.code = await run

    async def reload(self, number: signal.Signals = signal.SIGHUP) -> None:
        """Send SIGHUP, and wait until the file was read."""
        self.sink.reloaded.clear()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await self.sink.reloaded.wait()
        await self.clock.advance(timedelta(seconds=1))

    def token(self, name: str, cluster: int = -1) -> str | None:
        return (self.clusters[cluster].stands(Location(mount="secret", path=f"tokens/{name}")) or {}).get(
            "access_token"
        )

    def told(self, name: str) -> dict[str, object]:
        return dict(self.sink.named(name)[-1].fields)


def value(one: object) -> str:
    if isinstance(one, dict):
        return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in one.items()) + " }"
    return json.dumps(one)
