"""A token endpoint in a process of its own, as cheap as it can be: `python -m bench.stub PORTS LIFETIME BYTES`.

It prints the ports that it listens on, and ends when its standard input does. Whatever is sent is answered by a token.
"""

import asyncio
import json
import os
import sys
from itertools import count
from typing import Final

HEAD_END: Final = b"\r\n\r\n"
_numbers = count()


class Answers(asyncio.Protocol):
    """One connection."""

    def __init__(self, lifetime: int, size: int) -> None:
        self._rest = b""
        self._lifetime = lifetime
        self._filler = "t" * size

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TCP server's are

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
        self._rest += data
        while (end := self._rest.find(HEAD_END)) >= 0:
            head = self._rest[:end].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            whole = end + len(HEAD_END) + length
            if len(self._rest) < whole:
                return
            self._rest = self._rest[whole:]
            self._answer(closes=b"connection: close" in head)

    def _answer(self, *, closes: bool) -> None:
        token = f"{self._filler}{next(_numbers)}"
        reply = {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime, "scope": "orders"}
        body = json.dumps(reply).encode()
        last = b"Connection: close\r\n" if closes else b""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        self._transport.write(head + last + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        if closes:
            self._transport.close()


async def serve(ports: int, lifetime: int, size: int) -> None:
    """Listen until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Answers(lifetime, size), "127.0.0.1", 0, backlog=1000) for _ in range(ports)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else ended.set())
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:4])))
