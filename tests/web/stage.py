"""A daemon's worth of jobs on fakes in virtual time, with a real ledger, and the page on a real port."""

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from refresher.core.perishable import Perishable
from refresher.core.remembered import Remembered
from refresher.core.settings import Auth, Cluster, Settings
from refresher.heartbeat import Heartbeat
from refresher.host.notify import Manager
from refresher.sinks import Fanout
from refresher.sinks.metrics import Metrics
from refresher.state.ledger import Ledger, Reader
from refresher.timed import Timing
from refresher.web import wiring
from tests.fakes.clock import settle
from tests.rotation.house import House
from tests.rotation.stage import IDENTITY

CLUSTER = Cluster(address="https://vault.example.com:8200", auth=Auth(method="token"))


_ports = itertools.count(os.getpid() % 100 * 100)
_marks = itertools.count()


def free_port() -> int:
    """Return a port that nobody has, and that no connection of another test is given as its own (ip(7))."""
    for number in _ports:
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", 20_000 + number % 10_000))
            return one.getsockname()[1]
    raise AssertionError("there is always a next one")


class Stage:
    """A house with a page. `url` is where."""

    def __init__(self, folder: Path, *jobs, listen: str | None = None, **how) -> None:
        self.house = House(*jobs, **how)
        self.folder = folder
        self.listen = f"127.0.0.1:{free_port()}" if listen is None else listen
        self.url = f"http://{self.listen}"
        self.ledger = self.house.ledger = Ledger(folder, "default")
        self.metrics = Metrics()
        self.told = self.house.sink
        self.sink = Fanout(self.told, self.metrics)
        self.logins: dict[str, Perishable] = {}
        self.house.store.life_left = timedelta(hours=1)

    @asynccontextmanager
    async def serving(self, *, after: timedelta = timedelta()) -> AsyncIterator["Stage"]:
        """Serve jobs and page while the block lasts; the page from `after` so much time on."""
        house = self.house
        house.sink = self.sink
        async with house.serving():
            await house.advance(after)
            await self.recorded()
            manager = Manager(house.clock)
            heart = Heartbeat(house.roster, house.watch, manager=manager, clock=house.clock, sink=self.sink)
            settings = Settings(
                file=self.folder / "jobs.toml",
                state_dir=self.folder,
                clusters={"": CLUSTER},
                jobs=house.jobs,
                web_listen=self.listen,
            )
            parts = SimpleNamespace(
                settings=settings,
                identity=IDENTITY,
                clock=house.clock,
                sink=self.sink,
                ledger=self.ledger,
                stores=house.stores,
                timing=Timing((self.metrics,), house.clock),
                calls=SimpleNamespace(dropped={}),
            )
            (serve,) = wiring.rounds(parts, house.roster, house.watch, heart, self.logins)
            page = asyncio.get_running_loop().create_task(serve())
            try:
                await self.listening()
                yield self
            finally:
                page.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await page
                self.ledger.close()

    async def listening(self) -> None:
        """Wait until somebody answers."""
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    if self.listen.startswith("/"):
                        _, writer = await asyncio.open_unix_connection(self.listen)
                    else:
                        host, _, port = self.listen.rpartition(":")
                        _, writer = await asyncio.open_connection(host, int(port))
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    async def recorded(self) -> None:
        """Wait until the ledger has what it was told: it writes one after the other, and the mark is the last."""
        mark = f"mark-{next(_marks)}"
        self.ledger.keep(mark, Remembered())
        async with asyncio.timeout(20):
            while Reader(self.folder, "default").recall(mark) is None:  # noqa: ASYNC110  # its thread tells nobody
                await asyncio.sleep(0.01)
        await settle()
