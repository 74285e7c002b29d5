"""Contestants: the two requests of a rotation (ask for a token, write it to Vault), bare, by one client after another.

None of them decides, checks, keeps or tells anything: a pair is the least that anybody has to pay.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import httpx
import hvac
import requests
from httpx_aiohttp import AiohttpTransport

from refresher.channels import KEPT
from refresher.core.model import HttpRequest
from refresher.core.published import stamp
from refresher.core.secret import Secret
from refresher.http import Wire
from refresher.parts import VAULT_DEADLINE, VAULT_KEEPALIVE

FORM: Final = {
    "grant_type": "client_credentials",
    "client_id": "client-000000",
    "client_secret": "canary-of-a-client",
    "scope": "orders",
}
Pair: TypeAlias = Callable[[int], Awaitable[None]]


class Place:
    """Where the pairs go: token URLs, Vault, and a path for each number, whose version is the check-and-set value."""

    def __init__(self, urls: list[str], vault: str, token: Secret, name: str) -> None:
        self.urls, self.vault, self.token = urls, vault, token.reveal()
        self._name = name
        self.versions: defaultdict[int, int] = defaultdict(int)

    def url(self, number: int) -> str:
        """Return the token endpoint of `number`."""
        return self.urls[number % len(self.urls)]

    def path(self, number: int) -> str:
        """Return the path of `number` below its mount."""
        return f"{self._name}/{number}"

    def data(self, number: int, reply: dict[str, Any]) -> dict[str, str]:
        """Return what is written: what refresher writes, too."""
        now = datetime.now(UTC)
        ends = now + timedelta(seconds=reply["expires_in"])
        return {
            "access_token": reply["access_token"],
            "token_type": "Bearer",
            "issued_at": stamp(now),
            "expires_at": stamp(ends),
            "expires_at_unix": str(int(ends.timestamp())),
            "scope": reply["scope"],
            "job": str(number),
            "managed_by": "bench",
        }

    def write(self, number: int, reply: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the URL and the body of the write."""
        body = {"data": self.data(number, reply), "options": {"cas": self.versions[number]}}
        return f"{self.vault}/v1/secret/data/{self.path(number)}", body

    def written(self, number: int, answer: dict[str, Any]) -> None:
        """Remember the version."""
        self.versions[number] = answer["data"]["version"]


@asynccontextmanager
async def over_aiohttp(place: Place, *, closing: bool = False) -> AsyncIterator[Pair]:
    """The client that refresher has: httpx over aiohttp.

    `closing`: with a new connection for each token request, as refresher does it where a grant may be spent; else every
    connection is kept, as for the jobs here.
    """

    def session(*, force_close: bool) -> Callable[[], aiohttp.ClientSession]:
        return lambda: aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=200, force_close=force_close), cookie_jar=aiohttp.DummyCookieJar()
        )

    def client(*, force_close: bool) -> httpx.AsyncClient:
        transport = AiohttpTransport(client=session(force_close=force_close))
        headers = {"connection": "close"} if force_close else {}
        return httpx.AsyncClient(transport=transport, timeout=20, trust_env=False, headers=headers)

    async with client(force_close=closing) as provider, client(force_close=False) as vault:
        yield _by_httpx(place, provider, vault)


@asynccontextmanager
async def by_our_wire(place: Place) -> AsyncIterator[Pair]:
    """Refresher's own wire: a deadline and a size limit round httpx's transport over aiohttp."""
    provider = Wire(deadline=timedelta(seconds=20), keepalive=KEPT)
    vault = Wire(deadline=VAULT_DEADLINE, keepalive=VAULT_KEEPALIVE)
    form = "&".join(f"{name}={value}" for name, value in FORM.items()).encode()
    typed = ("content-type", "application/x-www-form-urlencoded")

    async def pair(number: int) -> None:
        reply = await provider.send(HttpRequest(url=place.url(number), headers=(typed,), body=form))
        url, body = place.write(number, json.loads(reply.body))
        headers = (("content-type", "application/json"), ("x-vault-token", place.token))
        written = await vault.send(HttpRequest(url=url, headers=headers, body=json.dumps(body).encode()))
        place.written(number, json.loads(written.body))

    yield pair
    await provider.aclose()
    await vault.aclose()


@asynccontextmanager
async def by_httpx(place: Place) -> AsyncIterator[Pair]:
    """Stock httpx, as pip installs it, every connection kept."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200, keepalive_expiry=300)
    async with httpx.AsyncClient(timeout=20, limits=limits, trust_env=False) as client:
        yield _by_httpx(place, client, client)


def _by_httpx(place: Place, provider: httpx.AsyncClient, vault: httpx.AsyncClient) -> Pair:
    async def pair(number: int) -> None:
        reply = await provider.post(place.url(number), data=FORM)
        url, body = place.write(number, reply.raise_for_status().json())
        written = await vault.post(url, json=body, headers={"x-vault-token": place.token})
        place.written(number, written.raise_for_status().json())

    return pair


@asynccontextmanager
async def by_aiohttp(place: Place) -> AsyncIterator[Pair]:
    """By aiohttp itself, every connection kept."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as client:

        async def pair(number: int) -> None:
            async with client.post(place.url(number), data=FORM) as reply:
                granted = await reply.json()
            url, body = place.write(number, granted)
            async with client.post(url, json=body, headers={"x-vault-token": place.token}) as written:
                written.raise_for_status()
                place.written(number, await written.json())

        yield pair


@contextmanager
def by_requests(place: Place) -> Iterator[Callable[[int], None]]:
    """By hvac as it comes, over requests, and requests for the token; one after the other."""
    with requests.Session() as session:
        vault = hvac.Client(url=place.vault, token=place.token)

        def pair(number: int) -> None:
            granted = session.post(place.url(number), data=FORM, timeout=20).json()
            _write_by_hvac(place, vault, number, granted)

        yield pair
        vault.adapter.close()


@asynccontextmanager
async def by_threads(place: Place) -> AsyncIterator[Pair]:
    """Stock httpx for the token, and hvac over requests in eight threads."""
    loop = asyncio.get_running_loop()
    vault = hvac.Client(url=place.vault, token=place.token)
    with ThreadPoolExecutor(8) as threads:
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:

            async def pair(number: int) -> None:
                granted = (await client.post(place.url(number), data=FORM)).json()
                await loop.run_in_executor(threads, _write_by_hvac, place, vault, number, granted)

            yield pair
    vault.adapter.close()


def _write_by_hvac(place: Place, vault: hvac.Client, number: int, granted: dict[str, Any]) -> None:
    answer = vault.secrets.kv.v2.create_or_update_secret(
        place.path(number), place.data(number, granted), cas=place.versions[number]
    )
    place.written(number, answer)


@asynccontextmanager
async def by_sockets(place: Place) -> AsyncIterator[Pair]:
    """The floor: asyncio's transports and the shortest reader of HTTP that serves, every connection kept."""
    idle: defaultdict[str, list[_Raw]] = defaultdict(list)
    loop = asyncio.get_running_loop()

    async def post(url: str, body: bytes, headers: str) -> Any:  # noqa: ANN401  # JSON
        parts = urlsplit(url)
        if idle[parts.netloc]:
            raw = idle[parts.netloc].pop()
        else:
            _, raw = await loop.create_connection(_Raw, parts.hostname or "", parts.port or 80)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        answer = json.loads(await raw.ask(head.encode() + body))
        idle[parts.netloc].append(raw)
        return answer

    form = "&".join(f"{name}={value}" for name, value in FORM.items()).encode()

    async def pair(number: int) -> None:
        granted = await post(place.url(number), form, "Content-Type: application/x-www-form-urlencoded\r\n")
        url, body = place.write(number, granted)
        place.written(number, await post(url, json.dumps(body).encode(), f"X-Vault-Token: {place.token}\r\n"))

    yield pair
    for raw in (one for ones in idle.values() for one in ones):
        raw.close()


class _Raw(asyncio.Protocol):
    """One connection with one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a TCP connection's is
        self._data = b""

    def ask(self, request: bytes) -> "asyncio.Future[bytes]":
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end >= 0:
            length = int(self._data[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(self._data) >= end + 4 + length:
                body, self._data = self._data[end + 4 :], b""
                self._answer.set_result(body)

    def close(self) -> None:
        self._transport.close()


async def each_of(pair: Pair, count: int, at_once: int) -> None:
    """Do `count` pairs, so many at once."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await pair(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
