"""What may stand between a daemon and its Vault: it notes each answer, loses some, and answers in Vault's place."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.fakes.background import in_background

KEPT = re.compile(rb"\r\nconnection: [^\r]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Passed:
    """One request: when (monotonic) it was answered, and what."""

    at: float
    method: str
    path: str
    status: int
    retry_after: int = 0

    @property
    def made(self) -> bool:
        """Whether it wrote a version."""
        return self.method in ("POST", "PUT") and "/data/" in self.path and self.status == 200


@dataclass
class Between:
    """`loses`: whether an answer of Vault's is lost on its way back. `instead`: what is answered in Vault's place."""

    loses: Callable[[Passed], bool] = lambda _passed: False
    instead: Callable[[], bytes | None] = lambda: None
    address: str = ""
    passed: list[Passed] = field(default_factory=list)
    lost: list[Passed] = field(default_factory=list)


@contextmanager
def between(there: int) -> Iterator[Between]:
    """Stand before the server at port `there` of loopback while the context lasts."""
    one, loop = Between(), asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await pass_on(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        reply = one.instead()
        if reply is None:
            theirs, ours = await asyncio.open_connection("127.0.0.1", there)
            ours.write(KEPT.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
            reply = await theirs.read()
            ours.close()
        method, path = head.decode().split(" ")[:2]
        wait = re.search(rb"\r\nretry-after: (\d+)", reply.partition(b"\r\n\r\n")[0], re.IGNORECASE)
        status = int(reply.split(b" ")[1])
        passed = Passed(time.monotonic(), method, path, status, int(wait[1]) if wait else 0)
        one.passed.append(passed)
        if one.loses(passed):
            one.lost.append(passed)
            writer.transport.abort()
        else:
            writer.write(reply)
            await writer.drain()

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1"))
    one.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with in_background(loop, [server]):
        yield one
