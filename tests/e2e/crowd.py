"""A provider for thousands of jobs, in a thread of the test, and the jobs that ask it."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import parse_qs
from zlib import crc32

from tests.e2e.site import Site
from tests.fakes.background import in_background

Answer: TypeAlias = int | bytes | None
# Whatever becomes of the jobs, a right for each: thousands of lines that change at each writing are another test's.
POLICY = """
path "{mount}/data/tokens/*" {{ capabilities = ["create", "update", "read"] }}
path "auth/token/*" {{ capabilities = ["read", "update"] }}
"""
LONGEST_S = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who, at which of the hosts, when (monotonic), what was sent, and the token that came of it."""

    client: str
    host: int
    at: float
    sent: dict[str, str]
    token: str


class Crowd:
    """Token endpoints on loopback, one for each of `hosts`.

    `answer` says what a client gets: a token of so many seconds, a reply of these bytes, or a broken connection. A
    request takes at least `latency` seconds. A client's group is what its name begins with, up to the first "-".
    """

    def __init__(self, answer: Callable[[str], Answer] = lambda _: 3600, *, hosts: int = 1, latency: float = 0.02):
        self.answer, self.latency = answer, latency
        self.asked: list[Asked] = []
        self._open: dict[str, Counter[int]] = defaultdict(Counter)
        self._most: dict[str, tuple[int, int]] = {}
        self.urls: list[str] = []
        self._hosts = hosts
        self._numbers = count()
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def serving(self) -> "Iterator[Crowd]":
        servers = [self._loop.run_until_complete(self._listen(host)) for host in range(self._hosts)]
        with in_background(self._loop, servers):
            yield self

    def reply(self, client: str, _sent: dict[str, str]) -> Answer:
        """Return the answer to one request; in the loop's thread."""
        return self.answer(client)

    def of(self, client: str) -> list[Asked]:
        return [one for one in self.asked if one.client == client]

    def counts(self, since: int = 0) -> Counter[str]:
        """Return how often each client asked, from the request of that number on."""
        return Counter(one.client for one in self.asked[since:])

    def most(self, group: str) -> tuple[int, int]:
        """Return how many requests of a group were open at once: at the busiest host, and in all."""
        return self._most.get(group, (0, 0))

    def wait(self, enough: Callable[[], bool], what: str, *, within: float = LONGEST_S) -> None:
        """Return once it is enough; fail when that takes too long."""
        ends = time.monotonic() + within
        while not enough():
            assert time.monotonic() < ends, f"not within {within} s: {what}"
            time.sleep(0.02)

    async def _listen(self, host: int) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await self._serve(host, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", backlog=1000)
        self.urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token")
        return server

    async def _serve(self, host: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        sent = {name: words[0] for name, words in parse_qs((await reader.readexactly(length)).decode()).items()}
        client, at = sent["client_id"], time.monotonic()
        answer, token = self.reply(client, sent), f"AT-{client}-{next(self._numbers)}"
        self.asked.append(Asked(client, host, at, sent, token if isinstance(answer, int) else ""))
        group = client.partition("-")[0]
        self._open[group][host] += 1
        most = (max(self._open[group].values()), self._open[group].total())
        self._most[group] = tuple(map(max, most, self.most(group)))
        await asyncio.sleep(self.latency)
        self._open[group][host] -= 1
        if isinstance(answer, int):
            answer = json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": answer}).encode()
        if answer is None:
            writer.transport.abort()
            return
        lines = ("HTTP/1.1 200 OK", f"Date: {formatdate(usegmt=True)}", f"Content-Length: {len(answer)}", "", "")
        writer.write("\r\n".join(lines).encode() + answer)
        await writer.drain()


def enrol(site: Site, crowd: Crowd, names: Iterable[str], **more: Any) -> None:
    """Add a job of each name, always at the same host of the crowd. They share one client secret."""
    secret = f"file:{site.folder / 'crowd.secret'}"
    if "crowd" not in site.canaries.planted:
        site.secret("crowd", site.canaries.plant("crowd"))
        site.bao.api("PUT", f"sys/policies/acl/{site.role}", {"policy": POLICY.format(mount=site.mount)})
        site.allow = lambda _config: None
    for name in names:
        url = crowd.urls[crc32(name.encode()) % len(crowd.urls)]
        words = {"provider": "oauth2", "token_url": url, "grant": "client_credentials", "client_auth": "post"}
        site.jobs[name] = words | {"client_id": name, "client_secret": secret, "path": f"tokens/{name}"} | more
