"""An HTTP proxy on loopback that tunnels (RFC 9110 section 9.3.6) and remembers all that it could read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes.peer import HEAD_END, listening

OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass
class Proxy:
    """`answer` is what it says to CONNECT; only after `OPENED` it tunnels. `carried` are the bytes in the tunnels."""

    answer: bytes = OPENED
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    carried: bytearray = field(default_factory=bytearray)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(HEAD_END))
            writer.write(self.answer)
            if self.answer == OPENED:
                host, _, port = self.heads[-1].split()[1].decode().rpartition(":")
                there, back = await asyncio.open_connection(host, int(port))
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, back))
                    group.create_task(self._pass(there, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                self.carried += part
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def proxy(answer: bytes = OPENED) -> AsyncIterator[Proxy]:
    one = Proxy(answer)
    async with listening(one.serve) as one.port:
        yield one
