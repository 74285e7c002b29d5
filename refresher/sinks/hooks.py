"""Hooks: programs, webhooks and reloads that are told of events.

Rules of this module:
- `tell` never waits: an event goes into the queue of each hook that wants it. A full queue loses its oldest event,
  which is told once and counted.
- Each hook is served by a task of its own, one event at a time and in order: one that hangs or fails delays no other,
  and no rotation. Of programs at most PROGRAMS run at once.
- A webhook is tried again, with the same id; whoever gets it twice knows it by that. A program is run once.
- What fails is told when it begins and when it is over, in the log alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Final

from refresher.core import hooks
from refresher.core.backoff import backoff
from refresher.core.errors import TransportError
from refresher.core.events import Event, Field, Level
from refresher.core.hooks import Hook
from refresher.core.job import Job, Program
from refresher.core.model import HttpRequest
from refresher.ports import Clock, Programs, Sink
from refresher.sinks.posting import FailedError, Posting

MOST: Final = 100  # events that wait for one hook
PROGRAMS: Final = 4
JITTER: Final = 0.5
FOLDER: Final = "reload"
SLOW: Final = "it takes events too slowly, or not at all: the oldest that wait for it are lost"
GONE: Final = "no hook has this name any more: what waited for it is lost"


class _Line:
    """One hook: what waits for it, and how it does."""

    def __init__(self, hook: Hook, group: asyncio.TaskGroup) -> None:
        self.hook, self.group = hook, group
        self.waiting: deque[tuple[str, datetime, Event]] = deque()
        self.there = asyncio.Event()
        self.busy = self.failing = self.full = False
        self.task: asyncio.Task[None] | None = None
        self.pause: asyncio.Task[None] | None = None  # until it is tried again


class Hooks:
    """ports.Sink that calls hooks. What to reload is left in a folder of `directory`."""

    def __init__(  # noqa: PLR0913  # what hooks need
        self,
        *,
        jobs: Callable[[], Mapping[str, Job]],
        instance: str,
        directory: Path,
        posting: Posting,
        programs: Programs,
        clock: Clock,
        sink: Sink,
    ) -> None:
        self.dropped = 0
        self._jobs = jobs
        self._instance = instance
        self._folder = directory / FOLDER
        self._posting, self._programs = posting, programs
        self._clock, self._sink = clock, sink
        self._lines: dict[str, _Line] = {}
        self._running = asyncio.Semaphore(PROGRAMS)
        self._group: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Have every hook told that wants to know of `event`."""
        if not self._lines:
            return
        job, told = self._jobs().get(event.job), (token_hex(16), self._clock.now(), event)
        for line in self._lines.values():
            if not line.hook.wants(event, job):
                continue
            if len(line.waiting) >= MOST:
                line.waiting.popleft()
                self._lose(line, 1, SLOW)
            line.waiting.append(told)
            line.there.set()

    @asynccontextmanager
    async def serving(self, known: Mapping[str, Hook], patience: timedelta) -> AsyncIterator[None]:
        """Serve while the block lasts; what waits then is served for as long as `patience`, and the rest is lost."""
        raised: Exception | None = None
        async with asyncio.TaskGroup() as self._group:
            self.update(known)
            try:
                yield
            except Exception as error:  # noqa: BLE001  # raised again below, since a group would wrap it
                raised = error
            with suppress(TimeoutError):
                async with asyncio.timeout(patience.total_seconds()):
                    await self._served()
            while self._lines:
                self._end(self._lines.popitem()[1], SLOW)
        if raised is not None:
            raise raised

    def update(self, known: Mapping[str, Hook]) -> None:
        """Serve these hooks from now on; one that has changed is called in the new way, also for what waits already."""
        after = {name: hook for name, hook in known.items() if hook.moment == "after"}
        for name in self._lines.keys() - after.keys():
            self._end(self._lines.pop(name), GONE)
        for name, hook in after.items():
            line = self._lines.get(name)
            if line is None and self._group is not None:
                self._lines[name] = line = _Line(hook, self._group)
                line.task = self._group.create_task(self._serve(line))
            elif line is not None and line.hook != hook:
                line.hook = hook
                if line.pause is not None:
                    line.pause.cancel()  # it may be mended

    async def _served(self) -> None:
        while any(line.waiting or line.busy for line in self._lines.values()):
            self._idle.clear()
            await self._idle.wait()

    async def _serve(self, line: _Line) -> None:
        while True:
            await line.there.wait()
            while line.waiting:
                told, line.busy = line.waiting.popleft(), True
                await self._deliver(line, *told)
                line.busy = False
                line.full = line.full and bool(line.waiting)
            line.there.clear()
            self._idle.set()

    async def _deliver(self, line: _Line, ident: str, at: datetime, event: Event) -> None:
        """Call the hook, again where that may help; nothing is raised."""
        for count in range(1, hooks.TRIES + 1):
            try:
                await self._call(line, ident, at, event)
            except FailedError as failed:
                self._tell(line, failed.error, str(failed))
                if failed.final or count == hooks.TRIES:
                    self.dropped += 1
                    return
                await self._pause(line, backoff(count, hooks.LONGEST_WAIT, JITTER))
            except Exception as error:  # noqa: BLE001  # a bug must end neither the hook nor the daemon
                self.dropped += 1
                self._tell(line, "internal", f"unexpected {type(error).__name__}, a defect")
                return
            else:
                if line.failing:
                    line.failing = False
                    self._sink.tell(Event(name="hook_failed", level="info", fields={"hook": line.hook.name}))
                return

    async def _pause(self, line: _Line, span: timedelta) -> None:
        line.pause = line.group.create_task(self._clock.sleep(span))
        try:
            await asyncio.wait((line.pause,))
        finally:
            line.pause.cancel()

    async def _call(self, line: _Line, ident: str, at: datetime, event: Event) -> None:
        hook = line.hook
        if hook.unit:
            line.waiting.clear()  # one reload is as good as many
            await asyncio.to_thread(self._touch, hook.unit)
        elif hook.program is not None:
            await self._run(hook, hook.program, ident, at, event)
        else:
            await self._post(hook, ident, at, event)

    def _touch(self, unit: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / unit).write_text(f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}\n")
        except OSError as error:
            raise FailedError("not_started", f"{self._folder / unit}: {error.strerror}") from None

    async def _run(self, hook: Hook, program: Program, ident: str, at: datetime, event: Event) -> None:
        job = self._jobs().get(event.job)
        variables = hooks.environment(hook, job, instance=self._instance, event=event.name, level=event.level)
        given = {name: await self._posting.read(reference) for name, reference in program.secrets}
        told = hooks.cloud_event(event, ident=ident, instance=self._instance, at=at)
        async with self._running:
            try:
                of = {"hook": hook.name} | ({"job": event.job} if event.job else {})
                await self._programs.call(replace(program, environment=variables), told, given, **of)
            except TransportError as error:
                raise FailedError(error.code, error.why) from None

    async def _post(self, hook: Hook, ident: str, at: datetime, event: Event) -> None:
        url = await self._posting.address(hook.url)
        try:
            key = None if hook.secret is None else hooks.signing_key(await self._posting.read(hook.secret))
        except ValueError as error:
            raise FailedError("secret", f"{hook.secret}: {error}", final=False) from None
        body = hooks.written(hooks.cloud_event(event, ident=ident, instance=self._instance, at=at))
        headers = hooks.headers(ident, self._clock.now(), body, key)
        await self._posting.send(HttpRequest(url=url, headers=headers, body=body))

    def _end(self, line: _Line, why: str) -> None:
        if line.task is not None:
            line.task.cancel()
        if left := len(line.waiting) + line.busy:
            self._lose(line, left, why)

    def _lose(self, line: _Line, count: int, why: str) -> None:
        self.dropped += count
        if not line.full:
            line.full = True
            self._tell(line, "overflow", why, lost=count)

    def _tell(self, line: _Line, error: str, why: str, **more: Field) -> None:
        level: Level = "debug" if line.failing and error != "overflow" else "warning"
        line.failing = True
        fields: dict[str, Field] = {"hook": line.hook.name, "error": error, "why": why, **more}
        self._sink.tell(Event(name="hook_failed", level=level, fields=fields))
