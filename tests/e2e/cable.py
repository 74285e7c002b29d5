"""The cable between one host and the servers of the others: it is pulled, and put back.

What is sent meanwhile is not lost: it arrives once the cable is back, as TCP would have it. Connections stay open, and
nobody is told of anything.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.background import in_background

MOST = 65536  # bytes at once


class Cable:
    """`ports` are those on this side, each of loopback too, by those of the servers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ports: dict[int, int] = {}
        self._loop = loop
        self._whole = asyncio.Event()
        self._whole.set()

    def pull(self) -> None:
        """Let nothing pass any more."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def put_back(self) -> None:
        """Let pass what was sent meanwhile, and all that comes."""
        self._loop.call_soon_threadsafe(self._whole.set)

    async def lead(self, there: int) -> asyncio.Server:
        """Lead from a port of its own to the server at port `there`."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._whole.wait()
                theirs, ours = await asyncio.open_connection("127.0.0.1", there)
            except OSError:  # the server is away
                writer.transport.abort()
                return
            ways = [asyncio.ensure_future(one) for one in (self._pass(reader, ours), self._pass(theirs, writer))]
            try:
                await asyncio.wait(ways)
            finally:
                for one in ways:
                    one.cancel()

        server = await asyncio.start_server(serve, "127.0.0.1")
        self.ports[there] = server.sockets[0].getsockname()[1]
        return server

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(MOST):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
            await self._whole.wait()
        except ConnectionError:
            pass
        finally:
            writer.close()


@contextmanager
def cable_to(*there: int) -> Iterator[Cable]:
    """Lead to the servers at these ports of loopback while the context lasts."""
    loop = asyncio.new_event_loop()
    cable = Cable(loop)
    servers = [loop.run_until_complete(cable.lead(port)) for port in there]
    with in_background(loop, servers):
        yield cable
