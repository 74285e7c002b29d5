"""The daemon as it is wired, on fakes at its outermost borders: start, signals, reload, end."""

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from refresher import config, daemon
from refresher.core.errors import StoreRefusedError, StoreUnavailableError
from refresher.core.model import Location
from refresher.scheduler import apscheduler
from tests.fakes.clock import VirtualClock, settle
from tests.fakes.provider import FakeProvider
from tests.fakes.scheduler import FakeScheduler
from tests.rotation.stage import Memory, SlowStore

MINUTE = timedelta(minutes=1)
FIRST = {"path": "tokens/first", "client_id": "first"}
SECOND = {"path": "tokens/second", "client_id": "second"}


class Cluster(SlowStore):
    """A cluster with its login, as the daemon sees it."""

    def __init__(self, site: "Site", cluster) -> None:
        super().__init__(site.clock)
        self.cluster = cluster
        self.login_error: Exception | None = site.login_error
        self.kept = self.closed = 0

    async def login(self) -> None:
        if self.login_error is not None:
            raise self.login_error

    async def keep(self) -> None:
        self.kept += 1
        await asyncio.Event().wait()

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
        }
        monkeypatch.setenv("CLIENT_SECRET", "s3cret")
        monkeypatch.setattr(daemon, "SystemClock", lambda: self.clock)
        monkeypatch.setattr(daemon, "Channels", lambda **_: self.provider)
        monkeypatch.setattr(daemon, "connect", self.connect)
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

    async def reload(self) -> None:
        """Send SIGHUP, and wait until the file was read."""
        self.sink.reloaded.clear()
        os.kill(os.getpid(), signal.SIGHUP)
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


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path, monkeypatch)
    made.write(first=FIRST)
    return made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(site: Site, number):
    async with site.running():
        assert site.token("first") == "AT-first-1"
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await site.stop.wait()
    assert site.code == 0
    assert [one.name for one in site.sink.events if one.level == "info"] == ["started", "rotated", "stopped"]
    assert site.told("stopped") == {"jobs": 1}
    assert [(one.kept, one.closed) for one in site.clusters] == [(1, 1)]


async def test_a_vault_that_refuses_us_for_good_ends_it(site: Site):
    site.login_error = StoreRefusedError("login", "the login is refused", status=400)
    async with site.running():
        pass
    assert site.code == 69
    assert site.told("stopped")["error"] == "login"
    assert not site.provider.asked
    assert site.clusters[0].closed == 1


async def test_a_vault_that_is_away_is_waited_for(site: Site):
    site.login_error = StoreUnavailableError("transport", "connection refused")
    async with site.running():
        assert site.token("first") == "AT-first-1"
    assert site.code == 0


async def test_what_deserves_a_look_is_told_at_the_start(site: Site):
    async with site.running():
        pass
    assert all("warning" in one.fields for one in site.sink.events if (one.name, one.level) == ("started", "warning"))


async def test_a_reload_takes_over_what_is_new_changed_and_gone(site: Site):
    site.write(first=FIRST, second=SECOND)
    async with site.running():
        site.write(second=SECOND | {"scope": "wide"}, third={"path": "tokens/third", "client_id": "third"})
        await site.reload()
        assert site.told("reloaded") == {"jobs": 2, "added": 1, "removed": 1, "changed": 1, "needs_restart": ()}
        assert (site.token("second"), site.token("third")) == ("AT-second-2", "AT-third-1")
        await site.clock.advance(timedelta(hours=2))
        assert len(site.provider.requests("first")) == 1
        await site.reload()
        assert site.told("reloaded") == {"jobs": 2, "added": 0, "removed": 0, "changed": 0, "needs_restart": ()}


@pytest.mark.parametrize("text", ["", "[jobs", '[jobs.first]\nprovider = "nobody"', "\0"])
async def test_a_broken_file_keeps_the_old_jobs_and_is_told(site: Site, text):
    async with site.running():
        site.write(text)
        await site.reload()
        refused = site.told("reload_refused")
        assert refused["jobs"] == 1
        assert refused["mistakes"]
        assert all("jobs.toml" in mistake for mistake in refused["mistakes"])
        await site.clock.advance(timedelta(hours=2))
        assert site.token("first") != "AT-first-1"
        site.write(first=FIRST)
        await site.reload()
        assert site.told("reloaded")["jobs"] == 1


async def test_another_instance_is_another_daemon(site: Site):
    async with site.running():
        site.tables["instance"] = {"name": "blue"}
        site.write(first=FIRST)
        await site.reload()
        assert "restart" in str(site.told("reload_refused")["mistakes"])
        await site.clock.advance(timedelta(hours=1))
        assert len(site.sink.named("rotated")) == 2


async def test_what_only_a_restart_takes_over_is_named(site: Site):
    async with site.running():
        site.tables |= {"limits": {"per_host": 1}, "log": {"level": "debug"}}
        site.write(first=FIRST)
        await site.reload()
        assert site.told("reloaded")["needs_restart"] == ("limits", "log")
        await site.reload()
        assert site.told("reloaded")["needs_restart"] == ("limits", "log"), "until it was restarted"


async def test_a_vault_that_moved_is_served_at_once_and_kept_logged_in(site: Site):
    async with site.running():
        site.tables["vault"]["address"] = "https://new.example.com"
        site.write(first=FIRST)
        await site.reload()
        assert (site.token("first", 0), site.token("first", 1)) == ("AT-first-1", "AT-first-2")
        assert [one.kept for one in site.clusters] == [1, 1]
        await site.clock.advance(timedelta(hours=1))
        assert site.token("first", 1) == "AT-first-3"
    assert [one.closed for one in site.clusters] == [1, 1]


async def test_a_strangers_secret_in_a_vault_that_moved_is_not_ours(site: Site):
    async with site.running():
        site.tables["vault"]["address"] = "https://new.example.com"
        site.write(first=FIRST)
        connect = site.connect

        def taken(cluster, *ports):
            made = connect(cluster, *ports)
            made.put(Location(mount="secret", path="tokens/first"), {"access_token": "STRANGE"})
            return made

        daemon.connect = taken  # put back by the fixture's monkeypatch
        await site.reload()
        await site.clock.advance(timedelta(hours=3))
        assert site.token("first", 1) == "STRANGE"
        assert ("latched", "unmanaged") in site.sink.told()
