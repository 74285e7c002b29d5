"""A bare HTTP server on loopback that answers as a test says and remembers every byte that came."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Peer:
    """`answer` makes the reply of each request; `None` closes the connection without one."""

    answer: Callable[["Peer"], bytes | None] = lambda _peer: OK
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/token", *, scheme: str = "http", host: str = "127.0.0.1") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def read(self) -> bytes:
        """Every byte of every request."""
        return b"".join(self.requests)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(HEAD_END):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                reply = self.answer(self)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
                if b"\r\nconnection: close\r\n" in head.lower():  # RFC 9112 section 9.6
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(answer: Callable[[Peer], bytes | None] = lambda _peer: OK, tls: ssl.SSLContext | None = None):
    one = Peer(answer)
    async with listening(one.serve, tls) as one.port:
        yield one


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve on a port of loopback while the context lasts."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
