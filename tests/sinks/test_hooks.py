"""Hooks are told of events in order; one that fails, hangs or is slow holds nobody up, and loses nothing in silence."""

import asyncio
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import ClassVar

import pytest

from refresher.core.errors import TransportError, UnreadableReferenceError
from refresher.core.events import Event
from refresher.core.hooks import Hook
from refresher.core.job import Program
from refresher.core.model import HttpResponse, Reference
from refresher.core.secret import Secret
from refresher.sinks import Fanout
from refresher.sinks.hooks import MOST, Hooks
from refresher.sinks.posting import Posting
from tests.core.builders import a_job
from tests.fakes.clock import VirtualClock, settle
from tests.rotation.stage import Memory

URL = "https://events.example.com/refresher"
HIDDEN = Reference(kind="env", target="HOOK_URL")
SECRET = Reference(kind="env", target="HOOK_SECRET")
ROTATED = Event(name="rotated", job="crm", fields={"version": 7})
PATIENCE = timedelta(seconds=10)


class Local:
    texts: ClassVar = {str(HIDDEN): URL + "?key=s3cret", str(SECRET): "a key of many characters"}

    def read(self, reference):
        if str(reference) not in self.texts:
            raise UnreadableReferenceError(str(reference), "this variable is not set")
        return Secret(self.texts[str(reference)])


class Scene:
    """Hooks over scripted ends. `answer` says what the receiver does; `run` what a program does."""

    def __init__(self, folder, *hooks: Hook) -> None:
        self.clock, self.memory = VirtualClock(), Memory()
        self.sink = Fanout(self.memory)
        self.requests, self.runs = [], []
        self.answer: Callable = lambda _: HttpResponse(status=204)
        self.run: Callable | None = None
        self.known = {hook.name: hook for hook in hooks}
        self.jobs = {"crm": a_job()}
        self.hooks = Hooks(
            jobs=lambda: self.jobs,
            instance="default",
            directory=folder,
            posting=Posting(self, Local()),
            programs=self,
            clock=self.clock,
            sink=self.sink,
        )
        self.sink.add(self.hooks)

    async def send(self, request):
        self.requests.append(request)
        found = self.answer(len(self.requests))
        if isinstance(found, Exception):
            raise found
        return found

    async def call(self, program, told, given, **of):
        self.runs.append((program, told, given, of))
        if self.run is not None:
            await self.run()

    @asynccontextmanager
    async def serving(self):
        async with asyncio.TaskGroup() as group:
            done = asyncio.Event()
            running = group.create_task(self._serve(done))
            await settle()
            yield
            done.set()
            while not running.done():
                await self.clock.advance(timedelta(seconds=1))
                await asyncio.sleep(0.001)  # a thread may be busy

    async def _serve(self, done):
        async with self.hooks.serving(self.known, PATIENCE):
            await done.wait()

    async def until(self, holds):
        """Wait until something holds that threads have a part in."""
        async with asyncio.timeout(20):
            while not holds():  # noqa: ASYNC110  # a thread tells of no event
                await asyncio.sleep(0.001)

    def told(self):
        return [(one.level, one.fields.get("error")) for one in self.memory.named("hook_failed")]

    def bodies(self):
        return [json.loads(one.body) for one in self.requests]


async def test_a_webhook_is_told_in_order(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    async with scene.serving():
        for number in range(5):
            scene.sink.tell(Event(name="rotated", job="crm", fields={"version": number}))
        await scene.clock.advance(timedelta(seconds=1))
    assert [one["data"]["version"] for one in scene.bodies()] == list(range(5))
    assert len({one["id"] for one in scene.bodies()}) == 5
    assert {(one.method, one.url) for one in scene.requests} == {("POST", URL)}
    assert scene.told() == []


async def test_a_receiver_that_is_away_gets_it_later_under_the_same_id(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    lost = TransportError("transport", "connection refused", sent=False)
    scene.answer = lambda count: lost if count < 3 else HttpResponse(status=503 if count < 5 else 200)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(minutes=1))
        assert len(scene.requests) == 5
    assert len({one["id"] for one in scene.bodies()}) == 1
    stamps = [dict(one.headers)["webhook-timestamp"] for one in scene.requests]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) >= 4, "each try has its own time, and is signed anew"
    levels = ["warning", "debug", "debug", "debug", "info"]
    assert [level for level, _ in scene.told()] == levels
    assert scene.told()[0] == ("warning", "transport")
    assert scene.hooks.dropped == 0


async def test_a_receiver_that_never_takes_it_is_left_alone_in_the_end(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda _: HttpResponse(status=500)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(hours=2))
        assert (len(scene.requests), scene.hooks.dropped) == (12, 1)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
async def test_a_receiver_that_means_it_is_asked_once(tmp_path, status):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda _: HttpResponse(status=status)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(hours=2))
    assert (len(scene.requests), scene.hooks.dropped, scene.told()) == (1, 1, [("warning", f"http_{status}")])


async def test_an_address_may_be_a_secret_and_is_told_nowhere(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=HIDDEN, secret=SECRET))
    scene.answer = lambda _: HttpResponse(status=404)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.until(lambda: scene.requests)
    assert scene.requests[0].url == URL + "?key=s3cret"
    assert dict(scene.requests[0].headers)["webhook-signature"].startswith("v1,")
    assert "s3cret" not in scene.memory.text()


@pytest.mark.parametrize(
    "hook",
    [
        Hook(name="one", url=Reference(kind="env", target="NONE")),
        Hook(name="one", url=URL, secret=Reference(kind="env", target="NONE")),
        Hook(name="one", program=Program(argv=("/x",), secrets=(("a", Reference(kind="env", target="NONE")),))),
        Hook(name="one", url=SECRET),
    ],
)
async def test_a_secret_that_is_missing_is_told_of_and_nothing_is_sent(tmp_path, hook):
    scene = Scene(tmp_path, hook)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.until(scene.told)
    assert scene.told()[0] in [("warning", "secret"), ("warning", "url")]
    assert (scene.requests, scene.runs) == ([], [])
    assert "many characters" not in scene.memory.text()


async def test_a_program_is_given_the_event_names_and_paths(tmp_path):
    program = Program(argv=("/bin/tell", "now"), secrets=(("key", SECRET),))
    scene = Scene(tmp_path, Hook(name="one", program=program))
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.until(lambda: scene.runs)
    ((ran, told, given, of),) = scene.runs
    assert ran.argv == ("/bin/tell", "now")
    assert dict(ran.environment) == {
        "REFRESHER_HOOK": "one",
        "REFRESHER_INSTANCE": "default",
        "REFRESHER_EVENT": "rotated",
        "REFRESHER_LEVEL": "info",
        "REFRESHER_JOB": "crm",
        "REFRESHER_PATHS": "secret/tokens/crm",
    }
    assert told["data"]["version"] == 7
    assert given["key"].reveal() == "a key of many characters"
    assert of == {"hook": "one", "job": "crm"}


async def test_one_that_hangs_delays_no_other_and_loses_its_oldest_events_in_the_open(tmp_path):
    scene = Scene(tmp_path, Hook(name="hangs", program=Program(argv=("/x",))), Hook(name="well", url=URL))
    scene.run = asyncio.Event().wait
    async with scene.serving():
        for number in range(MOST + 11):
            scene.sink.tell(Event(name="rotated", job="crm", fields={"version": number}))
            if number % 50 == 0:
                await scene.clock.advance(timedelta(seconds=1))
        await scene.clock.advance(timedelta(seconds=1))
        assert scene.bodies()[-1]["data"]["version"] == MOST + 10, "the other one was told of all"
        assert scene.hooks.dropped == 10
        assert scene.told() == [("warning", "overflow")], "once"
        assert scene.memory.named("hook_failed")[0].fields["hook"] == "hangs"
    assert scene.hooks.dropped == MOST + 11, "what waited at the end is counted, too"


async def test_what_waits_at_the_end_has_some_time(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda count: HttpResponse(status=503 if count < 3 else 200)
    async with scene.serving():
        scene.sink.tell(Event(name="stopped"))
    assert (len(scene.requests), scene.hooks.dropped) == (3, 0)


async def test_what_ends_the_block_is_raised_as_it_is_and_hooks_are_still_told(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))

    async def block():
        async with scene.hooks.serving(scene.known, PATIENCE):
            scene.sink.tell(Event(name="stopped"))
            raise UnreadableReferenceError("file:/x", "is not there")

    with pytest.raises(UnreadableReferenceError):
        await block()
    assert (len(scene.requests), scene.hooks.dropped) == (1, 0)


async def test_four_programs_run_at_once_and_no_more(tmp_path):
    scene = Scene(tmp_path, *(Hook(name=f"hook-{number}", program=Program(argv=("/x",))) for number in range(9)))
    go = asyncio.Event()
    scene.run = go.wait
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(seconds=1))
        assert len(scene.runs) == 4
        go.set()
        await scene.clock.advance(timedelta(seconds=1))
        assert len(scene.runs) == 9


async def test_a_defect_ends_neither_the_hook_nor_anything_else(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda count: RuntimeError("s3cret") if count == 1 else HttpResponse(status=200)
    async with scene.serving():
        scene.sink.tell(ROTATED)
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(seconds=1))
    assert len(scene.requests) == 2
    assert scene.told() == [("warning", "internal"), ("info", None)]
    assert "s3cret" not in scene.memory.text()


async def test_a_reload_is_a_file_that_systemd_watches_and_many_are_one(tmp_path):
    scene = Scene(tmp_path, Hook(name="nginx", unit="nginx", events=frozenset(("rotated",))))
    file = tmp_path / "reload" / "nginx"
    async with scene.serving():
        for _ in range(50):
            scene.sink.tell(ROTATED)
        await scene.until(lambda: file.exists() and file.read_text())
    assert file.read_text() == "2026-11-21T10:00:00Z\n"
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert scene.told() == []


async def test_a_reload_that_can_not_be_asked_for_is_told(tmp_path):
    (tmp_path / "reload").write_text("in the way")
    scene = Scene(tmp_path, Hook(name="nginx", unit="nginx"))
    async with scene.serving():
        scene.sink.tell(ROTATED)
        await scene.until(scene.told)
    assert scene.told() == [("warning", "not_started")]


async def test_a_hook_that_changes_begins_anew_and_one_that_is_gone_is_told_no_more(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL), Hook(name="two", url=URL + "/two"))
    async with scene.serving():
        scene.hooks.update({"one": Hook(name="one", url=URL + "/new")})
        scene.sink.tell(ROTATED)
        await scene.clock.advance(timedelta(seconds=1))
    assert [one.url for one in scene.requests] == [URL + "/new"]


async def test_what_waited_for_a_hook_that_changes_is_delivered_in_the_new_way_at_once(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda _: HttpResponse(status=503)
    async with scene.serving():
        for number in range(5):
            scene.sink.tell(Event(name="rotated", job="crm", fields={"version": number}))
        await settle()
        scene.answer = lambda _: HttpResponse(status=204)
        scene.hooks.update({"one": Hook(name="one", url=URL + "/new")})
        await settle()
        assert [one.url for one in scene.requests] == [URL] + [URL + "/new"] * 5
        bodies = scene.bodies()
        assert [body["data"]["version"] for body in bodies] == [0, 0, 1, 2, 3, 4]
        assert bodies[0]["id"] == bodies[1]["id"]
        assert scene.told() == [("warning", "http_503"), ("info", None)]
    assert scene.hooks.dropped == 0


async def test_a_program_that_runs_while_its_hook_changes_comes_to_its_end(tmp_path):
    scene, go = Scene(tmp_path, Hook(name="one", program=Program(argv=("/x",)))), asyncio.Event()
    scene.run = go.wait
    async with scene.serving():
        scene.sink.tell(ROTATED)
        scene.sink.tell(ROTATED)
        await settle()
        scene.hooks.update({"one": Hook(name="one", program=Program(argv=("/y",)))})
        go.set()
        await settle()
    assert [program.argv for program, *_ in scene.runs] == [("/x",), ("/y",)]
    assert (scene.hooks.dropped, scene.told()) == (0, [])


async def test_what_waited_for_a_hook_that_is_gone_is_counted_and_told_of(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.answer = lambda _: HttpResponse(status=503)
    async with scene.serving():
        for _ in range(5):
            scene.sink.tell(ROTATED)
        await settle()
        scene.hooks.update({})
        assert scene.hooks.dropped == 5
        assert scene.memory.named("hook_failed")[-1].fields["lost"] == 5
        await scene.clock.advance(timedelta(seconds=10))
    assert (len(scene.requests), scene.hooks.dropped) == (1, 5)


async def test_where_nobody_serves_nothing_is_kept(tmp_path):
    scene = Scene(tmp_path, Hook(name="one", url=URL))
    scene.sink.tell(ROTATED)
    assert (scene.requests, scene.hooks.dropped) == ([], 0)
