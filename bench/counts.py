"""What can be counted of the path, and comes out the same each time: requests, calls of Vault, lines, calls of Python.

Nothing here depends on the machine: tests/bench/test_counts.py holds these to bounds.
"""

import asyncio
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Final

from bench.fleet import WIRE, Fleet, Instant, serving, settings_of
from bench.report import Report
from bench.servers import empty_house
from refresher import parts
from refresher.core.settings import Settings

JOBS: Final = 20
TIMES: Final = 5
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
    real = getattr(parts, WIRE)
    Instant.install(stands=True)
    try:
        with empty_house() as stand:
            return asyncio.run(_count(settings_of(stand.config(jobs)), jobs))
    finally:
        setattr(parts, WIRE, real)


async def _count(settings: Settings, jobs: int) -> Mapping[str, float]:
    async with serving(settings) as fleet:
        looks = Instant.asked["read"]
        await fleet.rotate()  # what is made at first use is made
        Instant.asked.clear()
        fleet.counted.events.clear()
        await fleet.rotate()
        asked, events = Instant.asked.copy(), fleet.counted.events.total()
        # How often the loop's other work comes in between is chance: the least is the path's own.
        calls = min([await _calls(fleet) for _ in range(TIMES)])
        found = {
            "token_requests": asked["token"],
            "vault_writes": asked["write"],
            "vault_reads": asked["read"],
            "vault_other": asked["other"],
            "log_lines": events,
            "python_calls": calls,
            "looks": looks,
        }
    return {key: value / jobs for key, value in found.items()}


async def _calls(fleet: Fleet) -> int:
    """Walk each job once and return how many calls of Python functions that took, on the loop's thread."""
    calls = 0

    def call(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(call)
    try:
        await fleet.rotate()
    finally:
        sys.setprofile(None)
    return calls
