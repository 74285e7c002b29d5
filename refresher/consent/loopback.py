"""Where a person's browser comes back to: one address on 127.0.0.1, for one answer (RFC 8252 section 7.3).

Rules of this module:
- It reads the head of a request and nothing else, with a limit on its size and on its time.
- The page holds nothing of what came: no script, no style, nothing from elsewhere.
- What is no answer to our question is told so and changes nothing: browsers ask for icons, others may guess.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final, TypeAlias

from refresher.core.errors import RefresherError
from refresher.core.model import Rejected
from refresher.core.secret import Secret

HOST: Final = "127.0.0.1"
LIMIT: Final = 16 * 1024  # bytes of a request's head
HEAD_S: Final = 10  # seconds for a request's head
Judge: TypeAlias = Callable[[str], Secret | Rejected | None]

_HEADERS: Final = (
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "Cache-Control: no-store",
    "Connection: close",
)
RECEIVED: Final = "The answer was received. You can close this window; the terminal tells what came of it."
STRANGE: Final = "This does not answer the question that refresher asks. Open the address that the terminal shows."
UNREADABLE: Final = "This is not a request that refresher takes."


class PortTakenError(RefresherError):
    """The port that `redirect_port` names cannot be listened on."""


class Loopback:
    """`answer` bears what `judge` made of the first request that answers our question."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.answer: asyncio.Future[Secret | Rejected] = asyncio.get_running_loop().create_future()
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_reply(*self._judged(head)))
            await writer.drain()
        except asyncio.LimitOverrunError:
            writer.write(_reply(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, UNREADABLE))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # browsers open connections in advance and close them unused
        finally:
            self._open.discard(writer)
            writer.close()

    def close(self) -> None:
        """Drop the connections that are still open."""
        for writer in self._open:
            writer.transport.abort()

    def _judged(self, head: bytes) -> tuple[HTTPStatus, str]:
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or words[0] != b"GET" or not words[1].isascii():  # noqa: PLR2004  # method, target, version
            return HTTPStatus.BAD_REQUEST, UNREADABLE
        found = None if self.answer.done() else self._judge(words[1].decode("ascii"))
        if found is None:
            return HTTPStatus.NOT_FOUND, STRANGE
        self.answer.set_result(found)
        return HTTPStatus.OK, RECEIVED


@asynccontextmanager
async def listening(port: int, judge: Judge) -> AsyncIterator[Loopback]:
    """Listen on `port` of 127.0.0.1 (0: any free one) while the context lasts; raise PortTakenError."""
    loopback = Loopback(judge)
    try:
        server = await asyncio.start_server(loopback.serve, HOST, port, limit=LIMIT)
    except OSError as error:
        why = "another program listens there" if error.errno == errno.EADDRINUSE else "it can't be listened on"
        raise PortTakenError(f"{HOST}:{port}: {why}; choose another authorize.redirect_port") from None
    loopback.port = server.sockets[0].getsockname()[1]
    try:
        yield loopback
    finally:
        server.close()
        loopback.close()
        with suppress(OSError):
            await server.wait_closed()


def _reply(status: HTTPStatus, text: str) -> bytes:
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>refresher</title></head>'
        f"<body><h1>refresher</h1><p>{text}</p></body></html>\n"
    ).encode()
    head = (f"HTTP/1.1 {status.value} {status.phrase}", *_HEADERS, f"Content-Length: {len(page)}", "", "")
    return "\r\n".join(head).encode("ascii") + page
