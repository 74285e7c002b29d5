"""A strict provider of single-use refresh tokens, in the test's own loop: it revokes the family when a spent one comes.

It speaks as Semansys does (password and refresh_token grants at /connect/token), and knows what it has issued, so that
a test can tell the newest token from the others.
"""

import asyncio
import json
import secrets
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs


@dataclass
class Account:
    """What was issued to one client.

    `grants` counts what it asked for, `granted` what it got; `alive`: access tokens with their end, of families that
    were not revoked.
    """

    newest: str = ""
    valid: str = ""
    spent: set[str] = field(default_factory=set)
    alive: dict[str, float] = field(default_factory=dict)
    grants: Counter[str] = field(default_factory=Counter)
    granted: int = 0
    reused: int = 0
    refused: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)  # a request


class StrictProvider:
    """Use it as an asynchronous context. `ttl`: seconds of a token's life; `delay`: seconds before an answer."""

    def __init__(self, *, ttl: int, delay: float = 0) -> None:
        self.ttl, self.delay = ttl, delay
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/connect/token"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()

    @property
    def granted(self) -> int:
        """How many tokens were issued, to all."""
        return sum(one.granted for one in self.accounts.values())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0])
            form = {name: values[0] for name, values in parse_qs((await reader.readexactly(length)).decode()).items()}
            status, answer = self._answer(form)  # what came in is served, whether its sender lives or not
            await asyncio.sleep(self.delay)
            body = json.dumps(answer).encode()
            phrase = "OK" if status == 200 else "Bad Request"
            head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            writer.write(f"{head}connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass  # its sender was killed
        finally:
            writer.close()

    def _answer(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        account, grant = self.accounts[form["client_id"]], form["grant_type"]
        account.grants[grant] += 1
        account.came.set()
        if grant == "refresh_token":
            sent = form["refresh_token"]
            if sent in account.spent:
                account.reused += 1
                account.valid, account.alive = "", {}
            if sent != account.valid:
                account.refused += 1
                return 400, {"error": "invalid_grant"}
            account.spent.add(sent)
        account.granted += 1
        account.newest, account.valid = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        account.alive[account.newest] = time.monotonic() + self.ttl
        token = {"access_token": account.newest, "refresh_token": account.valid}
        return 200, {**token, "expires_in": self.ttl, "token_type": "bearer"}
