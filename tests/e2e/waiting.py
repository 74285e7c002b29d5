"""What more than one test waits for."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.servers.provider import Provider, Stats

LONGEST_S = 60


def await_requests(provider: Provider, wanted: int | Callable[[Stats], bool]) -> None:
    """Return once the server has counted so many token requests, or has counted as is wanted.

    It counts one when it comes in.
    """
    enough = wanted if callable(wanted) else lambda stats: stats.total >= wanted
    ends = time.monotonic() + LONGEST_S
    while not enough(provider.stats()):
        assert time.monotonic() < ends, "no request came"
        time.sleep(0.02)


def await_stopped(pid: int) -> None:
    """Return once the process is stopped by SIGSTOP."""
    ends = time.monotonic() + LONGEST_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        assert time.monotonic() < ends, "it did not freeze"
        time.sleep(0.02)
