"""Signals while a person is waited for: they end the wait, and nothing else.

A terminal that goes away (SIGHUP) must not take an answer along that is being stored.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, TypeVar

from refresher.core.errors import RefresherError

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_T = TypeVar("_T")


class InterruptedWaitError(RefresherError):
    """Somebody ended the wait by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.number = number


class Interruption:
    """Use it on one event loop, inside `signals()`."""

    def __init__(self) -> None:
        self._signalled: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Take the signals for as long as the context lasts."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def interrupt(self, number: int) -> None:
        """End the present wait, or the next one; a second time changes nothing."""
        if not self._signalled.done():
            self._signalled.set_result(number)

    async def pause(self, span: timedelta) -> None:
        """Wait for `span`; raise InterruptedWaitError when somebody ends the wait."""
        await self.answer(asyncio.get_running_loop().create_future(), within=span)

    async def answer(self, future: "asyncio.Future[_T]", *, within: timedelta) -> _T | None:
        """Return what comes of `future`, None when nothing comes in time; raise InterruptedWaitError."""
        either: set[asyncio.Future[object]] = {future, self._signalled}  # type: ignore[arg-type]  # a Future is invariant
        await asyncio.wait(either, timeout=within.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if self._signalled.done():
            raise InterruptedWaitError(self._signalled.result())
        return None
