"""Signals on the event loop."""

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def handled(handlers: Mapping[signal.Signals, Callable[[], None]], *, last: bool = False) -> Iterator[None]:
    """Have the running loop call these for as long as the context lasts.

    `last`: the process ends with it. What comes after that is ignored: else it would end the ending, by another code.
    """
    loop = asyncio.get_running_loop()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)  # none may find the default in between
        for number in handlers:
            loop.remove_signal_handler(number)
            if last:
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
