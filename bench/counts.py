"""What can be counted of the path, and comes out the same each time: requests, calls of Vault, lines, calls of Python.

Nothing here depends on the machine: tests/bench/test_counts.py holds these to bounds.
"""

import asyncio
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Final

from bench.fleet import Instant, serving, settings_of
from bench.report import Report
from bench.servers import empty_house
from refresher import daemon

JOBS: Final = 20
WHATS: Final[Mapping[str, str]] = {
    "token_requests": "requests for a token, per rotation in steady state",
    "vault_writes": "writes to Vault, per rotation in steady state",
    "vault_reads": "reads of Vault, per rotation in steady state",
    "vault_other": "other calls of Vault, per rotation in steady state",
    "log_lines": "log lines, per rotation in steady state",
    "python_calls": "calls of Python functions, per rotation in steady state, the wire left out",
    "looks": "reads of Vault, per job at start",
}


def add(report: Report) -> None:
    """Add the counts to `report`."""
    for key, value in counted().items():
        report.add(key, WHATS[key], "", [value])


def counted(jobs: int = JOBS) -> Mapping[str, float]:
    """Return the counts, per job."""
    real = daemon.Channels
    Instant.install(stands=True)
    try:
        with empty_house() as stand:
            return asyncio.run(_count(settings_of(stand.config(jobs)), jobs))
    finally:
        daemon.Channels = real  # type: ignore[misc]  # as it was


async def _count(settings: daemon.Settings, jobs: int) -> Mapping[str, float]:
    async with serving(settings) as fleet:
        looks = Instant.asked["read"]
        await fleet.rotate()  # what is made at first use is made
        Instant.asked.clear()
        fleet.counted.events.clear()
        calls = 0

        def call(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal calls
            if event == "call":
                calls += 1

        sys.setprofile(call)  # of this thread alone: how the log's and the ledger's work is batched is chance
        try:
            await fleet.rotate()
        finally:
            sys.setprofile(None)
        assert threading.current_thread() is threading.main_thread()
        found = {
            "token_requests": Instant.asked["token"],
            "vault_writes": Instant.asked["write"],
            "vault_reads": Instant.asked["read"],
            "vault_other": Instant.asked["other"],
            "log_lines": fleet.counted.events.total(),
            "python_calls": calls,
            "looks": looks,
        }
    return {key: value / jobs for key, value in found.items()}
