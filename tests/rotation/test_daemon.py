"""The daemon as it is wired, on fakes at its outermost borders: start, signals, reload, end."""

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from refresher import parts
from refresher.core.errors import StoreRefusedError, StoreUnavailableError
from refresher.core.model import Location
from tests.fakes.manager import listening
from tests.rotation.running import FIRST, SECOND, Site


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
        await site.reload(signal.SIGUSR2)
        counts = {"jobs": 2, "added": 1, "removed": 1, "changed": 1, "needs_restart": ()}
        assert site.told("reloaded") == counts | {"orphaned": ("secret/tokens/first",)}
        assert (site.token("second"), site.token("third")) == ("AT-second-2", "AT-third-1")
        await site.clock.advance(timedelta(hours=2))
        assert len(site.provider.requests("first")) == 1
        await site.reload()
        assert site.told("reloaded") == {"jobs": 2, "added": 0, "removed": 0, "changed": 0, "needs_restart": ()}


@pytest.mark.fault("F53")
async def test_reloads_in_a_storm_let_those_that_they_change_be_walked(site: Site, monkeypatch: pytest.MonkeyPatch):
    """Ten jobs are of another client after each reload, and each takes half a second: the eleventh comes due too."""
    site.tables["limits"] = {"per_host": 1, "total": 1}
    changing = [f"job-{number}" for number in range(10)]

    def write(side: str) -> None:
        site.write(first=FIRST, **{one: {"path": f"tokens/{one}", "client_id": f"{one}-{side}"} for one in changing})

    write("0")
    site.provider.lifetimes["first"] = 120

    async def at_once(deed, *words, **more):
        return deed(*words, **more)

    monkeypatch.setattr(asyncio, "to_thread", at_once)  # a thread that reads the file takes as long as it likes
    async with site.running():
        await site.clock.advance(timedelta(seconds=5))
        site.provider.latency = timedelta(seconds=0.5)
        for number in range(1, 100):
            write(str(number))
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)  # the signal is heard
            await site.clock.advance(timedelta(seconds=2))
        assert len(site.provider.requests("first")) >= 2
        site.provider.latency = timedelta()
        await site.clock.advance(timedelta(seconds=30))  # what is under way ends
        assert len(site.sink.named("reloaded")) >= 15


async def test_systemd_hears_of_start_reloads_and_end(site: Site, tmp_path: Path, monkeypatch):
    with listening(tmp_path / "notify", watchdog=60) as manager:
        for name, value in manager.environ.items():
            monkeypatch.setenv(name, value)
        async with site.running():
            first = [one for one in manager.said() if one != "EXTEND_TIMEOUT_USEC"]
            assert first == ["WATCHDOG", "STATUS", "READY", "STATUS"]
            await site.reload()
            assert manager.said() == ["RELOADING", "MONOTONIC_USEC", "STATUS", "READY", "STATUS"]
            site.write("[jobs")
            await site.reload()
            assert manager.said() == ["RELOADING", "MONOTONIC_USEC", "STATUS", "READY", "STATUS"]
        assert manager.said() == ["STOPPING", "STATUS"]


async def test_systemd_hears_why_there_was_no_start(site: Site, tmp_path: Path, monkeypatch):
    site.login_error = StoreRefusedError("login", "the login is refused", status=400)
    with listening(tmp_path / "notify") as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.environ["NOTIFY_SOCKET"])
        async with site.running():
            pass
        assert manager.messages() == [{"STATUS": "Vault refuses the login: the login is refused"}]


@pytest.mark.fault("F52")
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

        parts.connect = taken  # put back by the fixture's monkeypatch
        await site.reload()
        await site.clock.advance(timedelta(hours=3))
        assert site.token("first", 1) == "STRANGE"
        assert ("latched", "unmanaged") in site.sink.told()


async def test_a_login_is_kept_up_for_as_long_as_its_cluster_is_configured(site: Site):
    eu = {"address": "https://eu.example.com", "auth": site.tables["vault"]["auth"]}
    site.tables["clusters.eu"] = eu
    site.write(first=FIRST)
    async with site.running():
        (old,) = [one for one in site.clusters if one.cluster.name == "eu"]
        assert (old.kept, old.keeps) == (1, 1)
        del site.tables["clusters.eu"]
        site.write(first=FIRST)
        await site.reload()
        assert old.keeps == 0
        site.tables["clusters.eu"] = eu
        site.write(first=FIRST)
        await site.reload()
        assert (old.kept, old.keeps) == (2, 1), "the same one again"
        site.tables["clusters.eu"] = eu | {"address": "https://new.example.com"}
        site.write(first=FIRST)
        await site.reload()
        assert [one.keeps for one in site.clusters if one.cluster.name == "eu"] == [0, 1]
    assert [one.keeps for one in site.clusters] == [0, 0, 0]
    assert [one.closed for one in site.clusters] == [1, 1, 1]
