"""`lateness`: how late the bell is heard, at a steady rate, against the event loop's own timers."""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from bench.report import Report
from refresher.host.clock import SystemClock
from refresher.scheduler.apscheduler import Bell

RATES: Final = (100, 500, 2000)
IDLE: Final = 50_000
SECONDS: Final = 4.0
ROUNDS: Final = 5
Way = Callable[[int, float], Coroutine[Any, Any, list[float]]]


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("lateness", quick=quick)
    rates, seconds, rounds = ((100,), 0.3, 1) if quick else (RATES, SECONDS, ROUNDS)
    for rate in rates:
        ways: dict[str, tuple[str, Way]] = {
            "bell": ("the bell", _bell),
            "timer": ("the event loop's timers", _timers),
        }
        if not quick:
            ways["idle"] = f"the bell, with {IDLE:,} jobs that wait", _bell_among_many
        middles: defaultdict[str, list[float]] = defaultdict(list)
        ends: defaultdict[str, list[float]] = defaultdict(list)
        costs: defaultdict[str, list[float]] = defaultdict(list)
        for _ in range(rounds):
            for key, (_, way) in ways.items():
                began = time.process_time()
                late = asyncio.run(way(rate, seconds))
                costs[key].append((time.process_time() - began) / len(late) * 1e6)
                middles[key].append(statistics.median(late) * 1000)
                ends[key].append(statistics.quantiles(late, n=100)[98] * 1000)
        for key, (name, _) in ways.items():
            report.add(f"{key}_{rate}_p50", f"{rate} due a second: {name}, p50", "ms", middles[key])
            report.add(f"{key}_{rate}_p99", f"{rate} due a second: {name}, p99", "ms", ends[key])
            if key != "idle":  # there the setting up is most of it
                report.add(f"{key}_{rate}_cpu", f"{rate} due a second: {name}, processor time each", "us", costs[key])
        report.ratio(
            f"p99_{rate}", f"{rate} due a second: p99 of the bell against the timers'", ends["bell"], ends["timer"]
        )
    report.note("On the wall, of single rings; when other programs are at work here, the timers are late too.")
    return report


async def _bell(rate: int, seconds: float, idle: int = 0) -> list[float]:
    """Return how late each ring was, in seconds."""
    bell = Bell(SystemClock())
    for number in range(idle):
        bell.schedule(f"idle-{number}", timedelta(hours=1, seconds=number / 10))
    late: list[float] = []
    count, due = int(rate * seconds), {}
    for number in range(count):
        delay = 0.2 + number / rate
        due[str(number)] = time.monotonic() + delay
        bell.schedule(str(number), timedelta(seconds=delay))
    while len(late) < count:
        names = await bell.due()
        now = time.monotonic()
        late += [now - due[name] for name in names]
    bell.close()
    return late


async def _bell_among_many(rate: int, seconds: float) -> list[float]:
    return await _bell(rate, seconds, IDLE)


async def _timers(rate: int, seconds: float) -> list[float]:
    late: list[float] = []
    loop = asyncio.get_running_loop()
    count = int(rate * seconds)
    ended = asyncio.Event()

    def ring(due: float) -> None:
        late.append(time.monotonic() - due)
        if len(late) == count:
            ended.set()

    for number in range(count):
        due = loop.time() + 0.2 + number / rate
        loop.call_at(due, ring, due)
    await ended.wait()
    return late
