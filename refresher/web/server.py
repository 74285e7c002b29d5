"""The server: aiohttp's, on the daemon's own loop, without a signal handler, and with little to be reached.

Rules of this module:
- GET and HEAD, and nothing that changes anything. No cookie, no log of requests.
- A name of another host in `Host` is refused: a web page elsewhere may resolve its own name to this machine.
- The connections are counted: whoever holds many open takes no file descriptor that a rotation needs.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from refresher.host.sockets import admitting
from refresher.steady import Failures
from refresher.web.front import Front

MOST: Final = 100  # connections
MOST_STREAMS: Final = 32
KEEPALIVE_S: Final = 30.0
STOP_S: Final = 0.5
PING_S: Final = 15.0
DIGITS: Final = 18  # of a position in the stream
LINE: Final = 8190  # bytes of the first line and of one header
STATIC: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
FOLDER: Final = Path(__file__).parent / "static"
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Serves `front` on sockets that are bound already. `hosts`: what `Host` may say; None: anything."""

    def __init__(self, front: Front, hosts: frozenset[str] | None, failures: Failures) -> None:
        self._front = front
        self._hosts = hosts
        self._failures = failures
        self._streams = 0
        self._closing = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled."""
        app = web.Application(middlewares=[self._guard], client_max_size=1)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/jobs/{name:.+}", self._job),
                web.get("/events", self._events, allow_head=False),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/static/{name}", self._static),
            ]
        )
        app.on_response_prepare.append(_add_headers)
        runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=STOP_S,
            max_line_size=LINE,
            max_field_size=LINE,
        )
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("no server")
        try:
            async with admitting(runner.server, listener, MOST):
                try:
                    await self._front.tick()
                finally:
                    self._closing.set()
                    self._front.wake()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse strangers; whatever a handler raises is told of, and harms nobody."""
        if self._hosts is not None and request.host.lower() not in self._hosts:
            return web.Response(status=HTTPStatus.MISDIRECTED_REQUEST, text="This host is not served here.\n")
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.status} {error.reason}\n", headers=_allow(error))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  # a page that fails is told of, and no more
            self._failures.tell(error)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text="This failed; the log says where.\n")

    async def _index(self, request: web.Request) -> web.StreamResponse:
        pieces = self._front.index(request.query.get("q", "")[:200])
        first = await anext(pieces)
        response = web.StreamResponse(headers={"Content-Type": "text/html; charset=utf-8"})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            await response.write(first.encode())
            async for piece in pieces:
                await response.write(piece.encode())
        except Exception as error:  # noqa: BLE001  # half of the page is sent: no other can be
            if not isinstance(error, ConnectionError):
                self._failures.tell(error)
        return response

    async def _job(self, request: web.Request) -> web.StreamResponse:
        page = await self._front.job(request.match_info["name"])
        if page is None:
            text = await self._front.error(HTTPStatus.NOT_FOUND, "There is no such job", "Perhaps it was renamed.")
            return _html(text, status=HTTPStatus.NOT_FOUND)
        return _html(page)

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        text, content_type = await self._front.metrics()
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        why = self._front.standstill()
        return _plain(f"stalled: {why}" if why else "ok", well=not why)

    async def _readyz(self, _request: web.Request) -> web.StreamResponse:
        why = await self._front.unready()
        return _plain("\n".join(why) if why else "ok", well=not why)

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in STATIC:
            raise web.HTTPNotFound
        body = await asyncio.to_thread((FOLDER / name).read_bytes)
        return web.Response(body=body, content_type=STATIC[name], charset="utf-8")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Stream what changes, for as long as the page is open."""
        if self._streams >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable
        since = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        job = request.query.get("job")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._streams += 1
        try:
            await response.prepare(request)
            async with self._front.watched():
                await self._stream(response, since, job)
        except Exception as error:  # noqa: BLE001  # half of the answer is sent: no other can be
            if not isinstance(error, ConnectionError):
                self._failures.tell(error)
        finally:
            self._streams -= 1
        return response

    async def _stream(self, response: web.StreamResponse, since: str, job: str | None) -> None:
        boot, _, number = since.partition("-")
        if boot != self._front.changes.boot or not (number.isdecimal() and len(number) <= DIGITS):
            await response.write(b"event: restarted\ndata:\n\n")
            return
        revision, order = int(number), None
        await response.write(b": here\n\n")
        while not self._closing.is_set():
            news = await self._front.news(revision, job=job)
            if news is not None:
                revision = news.revision
                members = news.members if news.members.get("order") != order else news.members | {"order": None}
                order = news.members.get("order", order)
                text = f"id: {boot}-{revision}\nevent: jobs\ndata: {json.dumps(members)}\n\n"
                await response.write(text.encode())
            elif not await self._front.changed(PING_S):
                await response.write(b":\n\n")  # so that a connection that died is noticed


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)


def _html(text: str, *, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def _plain(text: str, *, well: bool) -> web.Response:
    return web.Response(text=f"{text}\n", status=HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)


def _allow(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
