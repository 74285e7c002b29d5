"""`scale`: what 1,000, 10,000 and 100,000 jobs cost: load, start, memory, sweep, reload, status, and a burst of all.

Each size has a process of its own (`python -m bench.scale JOBS`), with a wire that answers at once: the cost is ours.
"""

import asyncio
import gc
import json
import math
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench import wrk
from bench.fleet import Fleet, Instant, serving, settings_of
from bench.processes import PAGE, daemon
from bench.report import Report
from bench.servers import empty_house, house
from refresher import reload, watch
from refresher.core.settings import Settings
from refresher.host import process
from refresher.standing import status_of
from refresher.watch import Watch

SIZES: Final = (1_000, 10_000, 100_000)
TIMES: Final = {1_000: 5, 10_000: 2, 100_000: 1}
WHATS: Final[Mapping[str, str]] = {
    "load": "load jobs.toml",
    "build": "build the roster",
    "schedule": "look at each, decide, and schedule",
    "sweep": "one sweep",
    "reload": "reload the same jobs.toml",
    "status": "one line of status for each",
    "walk": "walk each once, all due at once, the wire left out",
}


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("scale", quick=quick)
    sizes = (20, 200) if quick else SIZES
    found: dict[int, list[dict[str, float]]] = defaultdict(list)
    for turn in range(1 if quick else max(TIMES.values())):
        for size in sizes:
            if quick or turn < TIMES[size]:
                found[size].append(_child(size))
    for size in sizes:
        for key, what in WHATS.items():
            values = [one[f"{key}_s"] for one in found[size]]
            report.add(f"{key}_{size}", f"{size:,} jobs: {what}, processor time", "s", values)
        memory = [one["bytes"] / 1024 for one in found[size]]
        report.add(f"memory_{size}", f"{size:,} jobs: memory per job over an empty daemon", "KiB", memory)
        blocked = [one["blocked_ms"] for one in found[size]]
        report.add(
            f"blocked_{size}", f"{size:,} jobs due at once: longest the loop was held, processor time", "ms", blocked
        )
        gap = [one["gap_ms"] for one in found[size]]
        report.add(f"gap_{size}", f"{size:,} jobs due at once: longest the loop was held, on the wall", "ms", gap)
        report.add(
            f"dropped_{size}", f"{size:,} jobs due at once: dropped", "", [one["dropped"] for one in found[size]]
        )
    first, last = sizes[0], sizes[-1]
    growth = math.log(last / first)
    for key, what in (("start", "load, build, look, decide, schedule"), *WHATS.items()):
        parts = ("load", "build", "schedule") if key == "start" else (key,)
        if key == "start":
            for size in sizes:
                runs = [sum(one[f"{part}_s"] for part in parts) for one in found[size]]
                report.add(f"start_{size}", f"{size:,} jobs: from start to all scheduled, processor time", "s", runs)
        spent = {size: sum(report.figures[f"{part}_{size}"].median for part in parts) for size in (first, last)}
        exponent = math.log(max(spent[last], 1e-9) / max(spent[first], 1e-9)) / growth
        report.add(f"exponent_{key}", f"exponent of growth, {first:,} to {last:,} jobs: {what}", "", [exponent])
    _real(report, last, quick=quick)
    report.note("The wire answers at once, from memory, as Vault and as token endpoint; nothing else is left out.")
    return report


def _real(report: Report, jobs: int, *, quick: bool) -> None:
    """Start the daemon with so many jobs on a real Vault, until the first rotation."""
    with house() as (stand, bao):
        with daemon(stand.config(jobs)) as running:
            running.wait(1)
            wall, cpu = min(running.rotated) - running.began_at, running.cpu
        what = f"{jobs:,} jobs, real Vault: start to the first rotation"
        report.add("first_wall", f"{what}, on the wall", "s", [wall])
        report.add("first_cpu", f"{what}, processor time", "s", [cpu])
        if wrk.is_there() and not quick:
            wrk.rate(stand.folder, stand.address, bao.root_token.reveal(), "write", seconds=1)
            reads = [
                wrk.rate(stand.folder, stand.address, bao.root_token.reveal(), "read", seconds=3) for _ in range(3)
            ]
            report.add("wrk_reads", "wrk: reads of a secret a second, 32 connections", "/s", reads)


def _child(jobs: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.scale", str(jobs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=1800)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def _timed(found: dict[str, float], key: str) -> Iterator[None]:
    began = time.process_time()
    yield
    found[f"{key}_s"] = time.process_time() - began


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def _measure(jobs: int) -> dict[str, float]:
    found: dict[str, float] = {}
    Instant.install(stands=True)
    with empty_house() as stand:
        async with serving(settings_of(stand.config(1, name="one"))):
            pass  # all that is imported at first use
        empty = _resident()
        config = stand.config(jobs, per_host=16, total=22)
        with _timed(found, "load"):
            settings = settings_of(config)
            process.keep_what_stands()  # as `refresher run` does
        began = time.process_time()
        async with serving(settings, wait=False) as fleet:
            found["build_s"] = time.process_time() - began
            began = time.process_time()
            await fleet.ready.wait()
            found["schedule_s"] = time.process_time() - began
            process.keep_what_stands()  # as the daemon does when it is ready
            found["bytes"] = (_resident() - empty) / jobs
            await _rounds(fleet, settings, found)
            await _burst(fleet, found)
    return found


async def _rounds(fleet: Fleet, settings: Settings, found: dict[str, float]) -> None:
    parts, roster = fleet.parts, fleet.roster
    one = Watch(roster, clock=parts.clock, sink=parts.sink, holder=parts.identity.holder)
    watch.SWEEP = watch.SWEEP * 0  # type: ignore[misc]  # at once
    before = one.swept_at
    async with asyncio.TaskGroup() as group:
        with _timed(found, "sweep"):
            sweep = group.create_task(one.sweep())
            while one.swept_at == before:
                await parts.clock.sleep(timedelta())
        sweep.cancel()
    with _timed(found, "reload"):
        new = await asyncio.to_thread(reload.read, settings, force=False)
        roster.update(new.jobs)
    now = parts.clock.now()
    with _timed(found, "status"):
        for charge in roster.charges.values():
            json.dumps(status_of(charge, now, parts.identity.holder))


async def _burst(fleet: Fleet, found: dict[str, float]) -> None:
    """Have every job due at once, while a ticker looks how long the loop is held."""
    loop = asyncio.get_running_loop()
    most_cpu = most_wall = 0.0
    last_cpu, last_wall = time.thread_time(), time.perf_counter()
    going = True

    def tick() -> None:
        nonlocal most_cpu, most_wall, last_cpu, last_wall
        cpu, wall = time.thread_time(), time.perf_counter()
        most_cpu, most_wall = max(most_cpu, cpu - last_cpu), max(most_wall, wall - last_wall)
        last_cpu, last_wall = cpu, wall
        if going:
            loop.call_later(0.001, tick)

    fleet.make_due(fleet.names)  # the benchmark's own work: not looked at
    last_cpu, last_wall = time.thread_time(), time.perf_counter()
    loop.call_soon(tick)
    began, before = time.process_time(), fleet.counted.events["rotated"]
    await fleet.counted.more(len(fleet.names), within=1500)
    found["walk_s"] = time.process_time() - began
    going = False
    found["blocked_ms"], found["gap_ms"] = most_cpu * 1000, most_wall * 1000
    found["dropped"] = len(fleet.names) - (fleet.counted.events["rotated"] - before)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(int(sys.argv[1])))))
