"""A raw socket server that plays the recorded replies of tests/data: a request for `/ID` gets the line ID."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.providers.corpus import Line

DRIP_S = 0.02  # seconds between two bytes of a dripping reply
HEAD_END = b"\r\n\r\n"


class CorpusServer:
    """Plays `lines` on a port of loopback."""

    def __init__(self, lines: Mapping[str, Line]) -> None:
        self._lines = lines
        self.port = 0
        self.requests = 0
        self._closing = asyncio.Event()

    def url(self, line: Line) -> str:
        return f"http://127.0.0.1:{self.port}/{line.id}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(HEAD_END)
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))
            self.requests += 1
            await self._play(self._lines[head.split()[1].decode().removeprefix("/")], writer)
        except ConnectionError:
            pass  # the client had read enough
        finally:
            writer.close()

    async def _play(self, line: Line, writer: asyncio.StreamWriter) -> None:
        raw = base64.b64decode(line.raw["wire_b64"]) if "wire_b64" in line.raw else reply(line)
        match line.context.get("play"):
            case "hang":
                await self._closing.wait()
            case "drip":
                head, _, body = raw.partition(HEAD_END)
                writer.write(head + HEAD_END)
                for number in body:
                    await asyncio.sleep(DRIP_S)
                    writer.write(bytes([number]))
                    await writer.drain()
            case _:
                writer.write(raw)
                await writer.drain()

    def close(self) -> None:
        self._closing.set()


def reply(line: Line) -> bytes:
    """Return the bytes of a whole reply."""
    headers = list(line.response.headers)
    if not line.response.header("content-length"):
        headers.append(("content-length", str(len(line.body))))
    head = f"HTTP/1.1 {line.response.status} Because\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers) + "\r\n"
    return head.encode("latin-1") + line.body


@asynccontextmanager
async def corpus_server(lines: Mapping[str, Line]) -> AsyncIterator[CorpusServer]:
    server = CorpusServer(lines)
    listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.close()
        listener.close()
        await listener.wait_closed()
