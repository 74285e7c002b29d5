"""The demo, from an empty folder to an empty folder: a real OpenBao, three practice vendors, the daemon, a reader.

Rules of this module:
- It leaves nothing behind: neither on SIGTERM, SIGHUP or Ctrl-C, whenever they come.
- The daemon is handed in (`serve`): the demo stands beside daemon.py and knows the same parts, not it.
"""

import asyncio
import io
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Final, TypeAlias

import aiohttp
from rich.console import Console
from rich.live import Live
from rich.text import Text

from refresher import config
from refresher.core.errors import RefresherError
from refresher.core.settings import LogSettings, Settings
from refresher.demo import openbao, practice
from refresher.demo.board import Board
from refresher.demo.reader import Reader, Seen
from refresher.demo.stage import CLIENTS, Stage, set_up
from refresher.host import log
from refresher.host.clock import SystemClock
from refresher.ports import Sink
from refresher.sinks.log import LogSink

Serve: TypeAlias = Callable[[Settings, tuple[Sink, ...], asyncio.Event], Coroutine[None, None, int]]

CLOCK: Final = SystemClock()
FRAME: Final = timedelta(milliseconds=125)
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(RefresherError):
    """The demo did not show what it is there to show."""


class Stop:
    """Notes the first signal and has it end the demo in order.

    It raises nothing: an exception from a signal handler is lost where Python ignores exceptions, as within a fork.
    """

    def __init__(self) -> None:
        self.number = 0
        self._end: Callable[[], object] = lambda: None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
        self._end()

    @contextmanager
    def sets(self, event: asyncio.Event) -> Iterator[None]:
        """Set `event` at a signal, at once where one came before."""
        loop = asyncio.get_running_loop()
        self._end = lambda: loop.call_soon_threadsafe(event.set)
        if self.number:
            event.set()
        try:
            yield
        finally:
            self._end = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """`serve` runs the daemon until its event is set and returns its exit code; `length`: how long to show it."""

    serve: Serve
    length: timedelta
    console: Console

    def run(self) -> int:
        """Show it until `length` is over or a signal comes; return 0 when no read found a dead token, else 1."""
        stop = Stop()
        before = [signal.signal(number, stop) for number in SIGNALS]
        try:
            with tempfile.TemporaryDirectory(prefix="refresher-demo-") as name:
                folder = Path(name)
                (folder / "openbao").mkdir()
                self.console.print("Starting OpenBao and three practice providers ...", style="dim")
                with openbao.start(folder / "openbao") as bao:
                    if stop.number:
                        return 128 + stop.number
                    return asyncio.run(self._show(folder, bao, stop))
        finally:
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)

    async def _show(self, folder: Path, bao: openbao.OpenBao, stop: Stop) -> int:
        ended = asyncio.Event()
        _configure_log(self.console)
        log.watch(asyncio.get_running_loop())
        with stop.sets(ended):
            async with practice.serve(CLIENTS.values(), CLOCK) as urls:
                stage = set_up(folder, bao, urls)
                self.console.print(_hint(bao, stage), soft_wrap=True, highlight=False)
                apis = {name: f"{urls[client.vendor]}/api" for name, client in CLIENTS.items()}
                return await self._play(stage, {name: (_url(bao, name), api) for name, api in apis.items()}, ended)

    async def _play(self, stage: Stage, urls: Mapping[str, tuple[str, str]], ended: asyncio.Event) -> int:
        settings, board, halt, began = config.load(stage.jobs), Board(CLIENTS), asyncio.Event(), CLOCK.monotonic()
        async with aiohttp.ClientSession(trust_env=False) as session, asyncio.TaskGroup() as group:
            readers = {
                name: Reader(session, CLOCK, url=url, api=api, token=stage.reader) for name, (url, api) in urls.items()
            }
            seen = {name: reader.seen for name, reader in readers.items()}
            tasks = [group.create_task(reader.run()) for reader in readers.values()]
            if self.console.is_terminal:
                tasks.append(group.create_task(_draw(self.console, board, seen)))
            daemon = group.create_task(self.serve(settings, (board, LogSink()), halt))
            daemon.add_done_callback(lambda _: ended.set())
            with suppress(TimeoutError):
                async with asyncio.timeout(self.length.total_seconds()):
                    await ended.wait()
            lasted = timedelta(seconds=CLOCK.monotonic() - began)
            for task in tasks:
                task.cancel()
            halt.set()
        if daemon.result():
            raise DemoError(f"the daemon ended by itself with exit code {daemon.result()}")
        if lasted >= self.length and (missing := [name for name, one in seen.items() if not one.version]):
            raise DemoError(f"no token ever came to {', '.join(missing)}")
        sentence, well = verdict(board.rotations, seen, lasted)
        self.console.print(sentence, highlight=False, soft_wrap=True)
        return 0 if well else 1


def verdict(rotations: int, seen: Mapping[str, Seen], lasted: timedelta) -> tuple[str, bool]:
    """Return the demo's last sentence, and whether readers always found a live token."""
    reads, dead = sum(one.reads for one in seen.values()), sum(one.dead for one in seen.values())
    lives = [one.least for one in seen.values() if one.least is not None]
    least = f" (the least life left was {min(lives).total_seconds():.1f} s)" if lives else ""
    return (
        f"{rotations} rotations in {lasted.total_seconds():.0f} s; of {reads} reads of {len(seen)} paths "
        f"{dead or 'none'} found an expired token{least}."
    ), not dead


async def _draw(console: Console, board: Board, seen: Mapping[str, Seen]) -> None:
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(board.table(seen, CLOCK.now()), refresh=True)
            await CLOCK.sleep(FRAME)


class _Above(io.StringIO):
    """A stream whose lines appear above the live table."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def write(self, text: str) -> int:
        self._console.print(Text(text.rstrip("\n")), soft_wrap=True)
        return len(text)


def _configure_log(console: Console) -> None:
    """On a terminal the table tells of rotations, and the log of trouble alone; elsewhere the log tells all."""
    if console.is_terminal:
        log.configure(LogSettings(level="warning", format="text"), stream=_Above(console))
    else:
        log.configure(LogSettings(format="text"))


def _url(bao: openbao.OpenBao, name: str) -> str:
    return f"{bao.address}/v1/secret/data/tokens/{name}"


def _hint(bao: openbao.OpenBao, stage: Stage) -> str:
    first = next(iter(CLIENTS))
    return (
        f"The jobs: {stage.jobs}\n"
        "To read a token yourself, in a second terminal:\n\n"
        f"  curl -s -H @{stage.header} {_url(bao, first)}\n"
    )
