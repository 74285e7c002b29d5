"""Servers of a test that is not asynchronous: their loop runs in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def in_background(loop: asyncio.AbstractEventLoop, servers: Sequence[asyncio.Server]) -> Iterator[None]:
    """Run `loop`, on which `servers` listen, while the context lasts; then end what is under way, and close both."""
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
