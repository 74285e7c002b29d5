"""The reader counts what readers would suffer from: a demo that can't see a dead token shows nothing."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from refresher.core.secret import Secret
from refresher.demo.reader import Reader
from tests.fakes.clock import START, VirtualClock

VAULT, API = "http://vault/v1/secret/data/tokens/crm", "http://vendor/api"


@dataclass
class World:
    """Vault's path and the vendor's API as the reader's HTTP session sees them."""

    token: str = ""
    version: int = 0
    expires_at: int = 0
    live: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def write(self, token: str, life: timedelta, *, live: bool = True) -> None:
        self.token, self.version = token, self.version + 1
        self.expires_at = int((START + life).timestamp())
        self.live |= {token} if live else set()

    @asynccontextmanager
    async def get(self, url: str, *, headers: dict[str, str], timeout: object):  # noqa: ASYNC109  # aiohttp's own name
        assert timeout is not None
        ((name, value),) = headers.items()
        self.asked.append((url, value))
        if url == API:
            yield Reply(200 if value.removeprefix("Bearer ") in self.live else 401, {})
            return
        assert (url, name, value) == (VAULT, "X-Vault-Token", "reader")
        data = {
            "access_token": self.token,
            "issued_at": "2026-11-21T10:00:00Z",
            "expires_at_unix": str(self.expires_at),
        }
        found = {"data": {"data": data, "metadata": {"version": self.version}}}
        yield Reply(200, found) if self.token else Reply(404, {})


@dataclass
class Reply:
    status: int
    body: dict

    async def json(self) -> dict:
        return self.body


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def reader(world: World) -> Reader:
    return Reader(world, VirtualClock(), url=VAULT, api=API, token=Secret("reader"))


async def test_before_the_first_token_nothing_is_counted(reader: Reader) -> None:
    await reader.read()
    assert (reader.seen.reads, reader.seen.dead) == (0, 0)


async def test_a_live_token_is_tried_once_at_the_vendor(world: World, reader: Reader) -> None:
    world.write("one", timedelta(seconds=12))
    for _ in range(3):
        await reader.read()
    seen = reader.seen
    assert (seen.reads, seen.dead, seen.version, seen.least) == (3, 0, 1, timedelta(seconds=12))
    assert [asked for asked in world.asked if asked[0] == API] == [(API, "Bearer one")]


async def test_each_way_to_find_no_live_token_is_counted(world: World, reader: Reader) -> None:
    world.write("one", timedelta(seconds=12))
    await reader.read()
    await reader._clock.advance(timedelta(seconds=12))
    await reader.read()
    assert (reader.seen.dead, reader.seen.least) == (1, timedelta())
    world.write("two", timedelta(seconds=60), live=False)
    await reader.read()
    assert reader.seen.dead == 2
    world.token = ""
    await reader.read()
    assert (reader.seen.dead, reader.seen.reads) == (3, 4)
    world.write("three", timedelta(seconds=60))
    await reader.read()
    assert (reader.seen.dead, reader.seen.reads) == (3, 5)


async def test_it_reads_ten_times_a_second(world: World, reader: Reader) -> None:
    world.write("one", timedelta(hours=1))
    task = asyncio.get_running_loop().create_task(reader.run())
    await reader._clock.advance(timedelta(seconds=2.95))
    task.cancel()
    assert reader.seen.reads == 30
