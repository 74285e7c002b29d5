"""The two sockets as HTTP: aiohttp's server on the daemon's own loop, with JSON in and JSON lines out.

Rules of this module:
- Who calls is known by the kernel (SO_PEERCRED), never by what they say: control is for root and our own user, whatever
  the mode of the socket's file has become.
- An answer that takes long is a line for each job as it ends, and an empty one now and then.
- What a caller no longer waits for is not begun; what was begun comes to its end.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

from refresher.control.brought import judged
from refresher.control.desk import Desk
from refresher.control.names import LARGEST, PING_S, Which
from refresher.core.events import Event, Field
from refresher.core.outcome import Outcome
from refresher.core.published import unstamp
from refresher.core.secret import Secret
from refresher.host.sockets import Caller, admitting, caller
from refresher.ports import Clock, Sink
from refresher.roster import Roster
from refresher.steady import Failures

MOST: Final = 32  # connections
STOP_S: Final = 0.5
Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Deed: TypeAlias = Callable[[Callable[[Outcome], None]], Awaitable[None]]


class BadRequestError(Exception):
    """What was asked makes no sense; the text says why."""


class Server:
    """Serves `desk` for the jobs of the file `config`."""

    def __init__(self, desk: Desk, roster: Roster, *, config: Path, clock: Clock, sink: Sink) -> None:
        self._desk = desk
        self._roster = roster
        self._config = config
        self._clock = clock
        self._sink = sink
        self._failures = Failures(clock=clock, sink=sink)

    async def serve(self, listener: socket.socket, which: Which) -> None:
        """Serve one of the sockets until cancelled."""
        app = web.Application(middlewares=[self._guard(which)], client_max_size=LARGEST)
        app.add_routes([web.get("/plan", self._plan), web.get("/{what:jobs|logins|fleet}", self._look)])
        if which == "control":
            app.add_routes([web.post("/{verb}", self._do)])
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=STOP_S)
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("no server")
        try:
            async with admitting(runner.server, listener, MOST):
                await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def _guard(self, which: Which) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            who = _caller(request)
            if which == "control" and who.uid not in (0, os.geteuid()):
                fields: Mapping[str, Field] = {
                    "verb": request.path[1:32],
                    "uid": who.uid,
                    "pid": who.pid,
                    "error": "denied",
                }
                self._sink.tell(Event(name="asked", level="warning", fields=fields))
                return _said(HTTPStatus.FORBIDDEN, f"uid {who.uid} has no control here: root and uid {os.geteuid()} do")
            if not self._is_ours(request.query.get("config", "")):
                return _said(HTTPStatus.MISDIRECTED_REQUEST, f"the daemon here keeps {self._config}")
            try:
                return await handler(request)
            except BadRequestError as error:
                return _said(HTTPStatus.BAD_REQUEST, str(error))
            except web.HTTPException as error:
                return _said(HTTPStatus(error.status), error.reason)
            except (ConnectionError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001  # one that fails is told of, and no more
                self._failures.tell(error)
                return _said(HTTPStatus.INTERNAL_SERVER_ERROR, "this failed; the log says where")

        return guard

    def _is_ours(self, config: str) -> bool:
        try:
            return config == str(self._config) or Path(config).samefile(self._config)
        except (OSError, ValueError):
            return False

    async def _look(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["what"]:
            case "logins":
                return _lines(self._desk.logins())
            case "fleet":
                return _lines(self._desk.fleet())
            case _:
                return await _many(await self._desk.jobs())

    async def _plan(self, request: web.Request) -> web.StreamResponse:
        seconds = request.query.get("for", "")
        if not (seconds.isdecimal() and len(seconds) <= 10):  # noqa: PLR2004  # a hundred years
            raise BadRequestError("for: no number of seconds")
        return await _many(await self._desk.plan(timedelta(seconds=int(seconds))))

    async def _do(self, request: web.Request) -> web.StreamResponse:
        """Do what the path names, with the members of the body."""
        who, desk = _caller(request), self._desk
        words = await _members(request)
        names = self._names(words)
        match request.match_info["verb"]:
            case "once":
                force = words.get("force") is True
                return await self._stream(request, lambda say: desk.once(names, who, say, force=force))
            case "rotate":
                return await self._stream(request, lambda say: desk.rotate(names, who, say))
            case "pause":
                until = unstamp(str(words.get("until", "")))
                if until is None or until <= self._clock.now():
                    raise BadRequestError("until: no moment to come")
                return _lines([await desk.pause(name, until, who) for name in names])
            case "resume":
                return _lines([await desk.resume(name, who) for name in names])
            case "release":
                return await self._stream(request, lambda say: _each(names, say, lambda name: desk.release(name, who)))
            case "put":
                token, lifetime = words.get("token"), words.get("lifetime_s")
                if not isinstance(token, str) or not isinstance(lifetime, int | None):
                    raise BadRequestError("token: no text")
                brought, life = Secret(token), None if lifetime is None else timedelta(seconds=lifetime)

                async def put(name: str) -> Outcome:
                    job = self._roster.charges[name].job
                    return await desk.put(name, lambda: judged(brought, job, now=self._clock.now(), lifetime=life), who)

                return await self._stream(request, lambda say: _each(names[:1], say, put))
            case _:
                raise web.HTTPNotFound

    def _names(self, words: Mapping[str, Any]) -> list[str]:
        names = words.get("jobs")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise BadRequestError("jobs: no names")
        for name in names:
            charge = self._roster.charges.get(name)
            if charge is None or charge.leaving:
                raise BadRequestError(f"the daemon has no job {name!r}: has it read this jobs.toml? Reload it")
        return list(dict.fromkeys(names))

    async def _stream(self, request: web.Request, deed: Deed) -> web.StreamResponse:
        """Send a line for each outcome that `deed` says, as it comes."""
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        lines: asyncio.Queue[Outcome | None] = asyncio.Queue()

        async def do() -> None:
            try:
                await deed(lines.put_nowait)
            finally:
                lines.put_nowait(None)

        try:
            async with asyncio.TaskGroup() as group:
                doing = group.create_task(do())
                try:
                    await _send(response, lines)
                except ConnectionError:  # nobody waits any more
                    doing.cancel()
        except* Exception as errors:  # noqa: BLE001  # half of the answer is sent: no other can be
            self._failures.tell(errors.exceptions[0])
            await response.write(_line({"error": "this failed; the log says where"}))
        return response


async def _each(
    names: Iterable[str], say: Callable[[Outcome], None], deed: Callable[[str], Awaitable[Outcome]]
) -> None:
    for name in names:
        say(await deed(name))


async def _send(response: web.StreamResponse, lines: "asyncio.Queue[Outcome | None]") -> None:
    while True:
        try:
            async with asyncio.timeout(PING_S):
                ended = await lines.get()
        except TimeoutError:
            await response.write(b"\n")
            continue
        if ended is None:
            return
        await response.write(_line({**ended.as_json(), "store_down": ended.store_down, "node": ended.node}))


async def _members(request: web.Request) -> Mapping[str, Any]:
    try:
        members = json.loads(await request.read())
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise BadRequestError("no JSON object")
    return members


def _caller(request: web.Request) -> Caller:
    if request.transport is None:
        raise ConnectionResetError
    return caller(request.transport.get_extra_info("socket"))


def _line(members: Mapping[str, object]) -> bytes:
    return json.dumps(members).encode() + b"\n"


async def _many(members: Iterable[Mapping[str, object]]) -> web.Response:
    """Return what `_lines` does, made beside the loop: there may be very many."""
    return await asyncio.to_thread(_lines, members)


def _lines(members: Iterable[Mapping[str, object]]) -> web.Response:
    return web.Response(body=b"".join(map(_line, members)), content_type="application/jsonl")


def _said(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, body=_line({"error": text}), content_type="application/jsonl")
