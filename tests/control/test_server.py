"""Both ends of the sockets: one instance beside the other, one jobs.toml, and callers whom the kernel names."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from refresher.control import client
from refresher.control.desk import Desk
from refresher.control.names import MODES, socket_of
from refresher.control.server import Server
from refresher.control.wiring import _serve
from refresher.core.perishable import Perishable
from refresher.core.published import stamp
from refresher.core.settings import Auth, Cluster, Settings
from refresher.host import paths, sockets
from tests.control.test_desk import desk_of
from tests.fakes.clock import settle
from tests.rotation.house import HOUR, MINUTE, House, job, many


def settings(folder: Path, house: House, instance: str = "default") -> Settings:
    cluster = Cluster(address="http://127.0.0.1:1", auth=Auth(method="token"))
    file = folder / f"{instance}.toml"
    file.touch()
    return Settings(file=file, instance=instance, state_dir=folder, clusters={"": cluster}, jobs=house.jobs)


@asynccontextmanager
async def open_to_callers(house: House, kept: Settings, logins: Mapping[str, Perishable] | None = None):
    """Serve the two sockets of a daemon that keeps `kept`."""
    server = Server(desk_of(house, logins), house.roster, config=kept.file, clock=house.clock, sink=house.sink)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _serve(server, socket_of(kept.state_dir, which, kept.instance), which, house.clock, house.sink)
            )
            for which in MODES
        ]
        await settle()
        yield
        for task in tasks:
            task.cancel()


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path):
    """A daemon of this machine's own is none of ours."""
    monkeypatch.setattr(paths, "RUN_DIR", tmp_path / "run" / "refresher")
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)


async def said(question) -> list[dict]:
    return await asyncio.to_thread(lambda: list(question()))


async def test_the_two_sockets_answer_what_they_are_asked(tmp_path):
    house = House(*many(3))
    async with house.serving():
        await house.advance(MINUTE)
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            rows = await said(lambda: client.jobs(kept))
            assert [(row["status"]["job"], row["status"]["state"]) for row in rows] == [
                (n, "fresh") for n in house.jobs
            ]
            assert len(await said(lambda: client.plan(kept, 3600))) == 3
            ended = await said(lambda: client.ask(kept, "rotate", {"jobs": ["job-0001"]}))
            assert [(one["job"], one["outcome"], one["store_down"]) for one in ended] == [
                ("job-0001", "rotated", False)
            ]
            until = stamp(house.clock.now() + HOUR)
            rows = await said(lambda: client.ask(kept, "pause", {"jobs": ["job-0000"], "until": until}))
            assert [row["status"]["state"] for row in rows] == ["paused"]
            ended = await said(lambda: client.ask(kept, "put", {"jobs": ["job-0002"], "token": "x y"}))
            assert [(one["outcome"], one["error"]) for one in ended] == [("halted", "access_token")]
            assert [event.fields["uid"] for event in house.sink.named("asked")] == [os.getuid()] * 3
            assert {event.fields["pid"] for event in house.sink.named("asked")} == {os.getpid()}


async def test_a_login_that_somebody_has_to_see_to_is_told_by_the_view_socket(tmp_path):
    house = House(*many(1))
    async with house.serving():
        await house.advance(MINUTE)
        kept, ends = settings(tmp_path, house), house.clock.now() + 2 * HOUR
        logins = {
            "": Perishable(what="secret_id", ends_at=ends),
            "eu": Perishable(what="token", ends_at=ends + 1000 * 24 * HOUR),
            "us": Perishable(what="secret_id", uses_left=1),
        }
        async with open_to_callers(house, kept, logins):
            first, second = await said(lambda: client.logins(kept))
        assert (first["cluster"], first["secret"], first["expires_at"]) == ("default", "secret_id", stamp(ends))
        assert (second["cluster"], second["uses_left"], second["expires_at"]) == ("us", 1, None)
        assert "each start needs one" in second["why"]


async def test_an_older_daemon_that_knows_of_no_logins_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Server, "_look", Server._do)
    house = House(*many(1))
    async with house.serving():
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            assert await said(lambda: client.logins(kept)) == []


async def test_two_instances_have_sockets_of_their_own_in_one_place(tmp_path):
    blue, green = House(job("crm")), House(*many(2))
    async with blue.serving(), green.serving():
        await blue.advance(MINUTE)
        await green.advance(MINUTE)
        ours, theirs = settings(tmp_path, blue, "blue"), settings(tmp_path, green, "green")
        async with open_to_callers(blue, ours), open_to_callers(green, theirs):
            assert [row["status"]["job"] for row in await said(lambda: client.jobs(ours))] == ["crm"]
            assert len(await said(lambda: client.jobs(theirs))) == 2


async def test_a_daemon_speaks_for_its_own_jobs_toml_alone(tmp_path):
    house = House(job("crm"))
    async with house.serving():
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            link = tmp_path / "link.toml"
            link.symlink_to(kept.file)
            assert len(await said(lambda: client.jobs(replace(kept, file=link)))) == 1, "another name of the same file"
            other = tmp_path / "other.toml"
            other.touch()
            with pytest.raises(client.NoDaemonError, match="keeps"):
                await said(lambda: client.jobs(replace(kept, file=other)))
            with pytest.raises(client.NoDaemonError):
                await said(lambda: client.ask(replace(kept, file=other), "rotate", {"jobs": ["crm"]}))
            assert house.sink.named("asked") == []


@pytest.mark.leak("L30")
async def test_control_is_for_root_and_ourselves_whatever_the_mode_of_the_socket(tmp_path, monkeypatch):
    """What the kernel says of the caller is replaced here; tests/systemd has another user call."""
    house = House(job("crm"))
    stranger = sockets.Caller(pid=1, uid=os.geteuid() + 12345)
    async with house.serving():
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            monkeypatch.setattr("refresher.control.server.caller", lambda _connection: stranger)
            with pytest.raises(client.DeniedError, match=f"uid {stranger.uid} has no control here"):
                await said(lambda: client.ask(kept, "rotate", {"jobs": ["crm"]}))
            assert len(await said(lambda: client.jobs(kept))) == 1, "the view is another matter"
        (told,) = house.sink.named("asked")
        assert (told.level, told.fields["uid"], told.fields["error"]) == ("warning", stranger.uid, "denied")
        assert house.asked("crm") == 1


@pytest.mark.parametrize(
    ("verb", "words", "why"),
    [
        ("rotate", {"jobs": ["nobody"]}, "no job 'nobody'"),
        ("rotate", {"jobs": []}, "no names"),
        ("rotate", {"jobs": "crm"}, "no names"),
        ("rotate", ["crm"], "no JSON object"),
        ("pause", {"jobs": ["crm"], "until": "2020-01-01T00:00:00Z"}, "no moment to come"),
        ("pause", {"jobs": ["crm"]}, "no moment to come"),
        ("put", {"jobs": ["crm"]}, "no text"),
        ("put", {"jobs": ["crm"], "token": "t", "lifetime_s": "1h"}, "no text"),
        ("explode", {"jobs": ["crm"]}, "Not Found"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_one_line(tmp_path, verb, words, why):
    house = House(job("crm"))
    async with house.serving():
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            with pytest.raises(client.DaemonError, match=why):
                await said(lambda: client.ask(kept, verb, words))
        assert house.sink.named("asked") == []
        assert house.sink.named("failing") == []


async def test_nobody_there_and_a_place_closed_to_us_are_told_apart(tmp_path, monkeypatch):
    house = House(job("crm"))
    kept = settings(tmp_path, house)
    with pytest.raises(client.NoDaemonError, match="no daemon runs for"):
        client.jobs(kept)

    def closed(*_args):
        raise PermissionError

    monkeypatch.setattr(sockets, "connected", closed)
    with pytest.raises(client.DeniedError, match="root and the daemon's own user"):
        list(client.ask(kept, "rotate", {"jobs": ["crm"]}))
    there = socket_of(paths.RUN_DIR, "control", "default")
    there.parent.mkdir(parents=True)
    there.touch()
    with pytest.raises(client.DeniedError, match=f"^{there} is for"):  # of several, the one that can be seen
        list(client.ask(kept, "rotate", {"jobs": ["crm"]}))


async def test_a_defect_is_told_of_and_harms_nobody(tmp_path, monkeypatch):
    house = House(job("crm"))
    async with house.serving():
        kept = settings(tmp_path, house)
        async with open_to_callers(house, kept):
            for verb in ("rotate", "resume"):
                monkeypatch.setattr(f"refresher.control.desk.Desk.{verb}", None)
                with pytest.raises(client.DaemonError, match="the log says where"):
                    await said(lambda verb=verb: client.ask(kept, verb, {"jobs": ["crm"]}))
            assert len(await said(lambda: client.jobs(kept))) == 1
            with pytest.raises(client.DaemonError):
                await said(lambda: client.ask(kept, "rotate", {"jobs": ["crm"]}))
            told = house.sink.named("failing")
            assert [event.fields["error"] for event in told] == ["internal"] * 3
            assert [event.level for event in told] == ["error", "error", "debug"], "each bug once"
            await house.advance(2 * HOUR)
            with pytest.raises(client.DaemonError):
                await said(lambda: client.ask(kept, "rotate", {"jobs": ["crm"]}))
        assert house.sink.named("failing")[-1].level == "error", "and again after a while"


async def test_rows_that_take_a_while_are_waited_for(tmp_path, monkeypatch):
    """A row for each of 100,000 jobs takes six seconds: longer than a socket takes to open."""
    monkeypatch.setattr(client, "LOOK_S", 0.2)
    house = House(job("crm"))
    async with house.serving():
        kept, jobs, plan = settings(tmp_path, house), Desk.jobs, Desk.plan

        async def slowly(deed, *words):
            await asyncio.sleep(0.6)
            return await deed(*words)

        monkeypatch.setattr(Desk, "jobs", lambda self: slowly(jobs, self))
        monkeypatch.setattr(Desk, "plan", lambda self, horizon: slowly(plan, self, horizon))
        async with open_to_callers(house, kept):
            assert len(await said(lambda: client.jobs(kept))) == 1
            assert len(await said(lambda: client.plan(kept, 3600))) == 1


async def test_a_second_daemon_in_the_same_place_says_so_and_waits_for_it(tmp_path):
    first, second = House(job("crm")), House(*many(2))
    async with first.serving(), second.serving():
        await second.advance(MINUTE)
        kept = settings(tmp_path, first)
        async with asyncio.TaskGroup() as group:
            async with open_to_callers(first, kept):
                late = group.create_task(beside(second, kept))
                await second.advance(3 * MINUTE)
                (told,) = second.sink.named("started")
                assert "in use" in told.fields["warning"]
                assert len(await said(lambda: client.jobs(kept))) == 1, "who is there keeps it"
            await second.advance(MINUTE)
            assert len(await said(lambda: client.jobs(kept))) == 2
            late.cancel()


async def beside(house: House, kept: Settings) -> None:
    server = Server(desk_of(house), house.roster, config=kept.file, clock=house.clock, sink=house.sink)
    await _serve(server, socket_of(kept.state_dir, "view", kept.instance), "view", house.clock, house.sink)
