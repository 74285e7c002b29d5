"""`burst`: many jobs due at once, at a start and after an outage of Vault, against what Vault can write."""

import time
from contextlib import suppress
from typing import Final

from bench import wrk
from bench.processes import Daemon, daemon
from bench.report import Report
from bench.servers import House, house
from refresher.demo.openbao import OpenBao

JOBS: Final = 10_000
OUTAGE_JOBS: Final = 2_000


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("burst", quick=quick)
    jobs, outage_jobs, times = (20, 20, 1) if quick else (JOBS, OUTAGE_JOBS, 2)
    with house() as (stand, bao):
        writes = [] if quick else _ceiling(stand, bao, times, quick=quick)
        config = stand.config(jobs, per_host=16, total=22)
        with daemon(config) as running:
            running.wait(1)
            began, ready = time.monotonic(), running.ready
            running.wait(jobs)
            idle = 1 - (running.ready - ready) / (time.monotonic() - began)
            rates = _rates(running.rotated, 5)
            cpu = running.cpu / jobs * 1000
            report.add(
                "load_to_first", f"{jobs:,} jobs: start to the first rotation, on the wall", "s", [_first(running)]
            )
        writes += _ceiling(stand, bao, times, quick=quick)
        report.add("start_rate", f"{jobs:,} jobs overdue at start: rotations a second (fifths of the run)", "/s", rates)
        report.add("start_idle", "share of that time in which the daemon's loop had nothing to do", "%", [idle * 100])
        report.add("start_cpu", "the daemon's processor time for each, with load and look", "ms", [cpu])
        pause, back = _outage(stand, bao, outage_jobs)
        what = f"{outage_jobs:,} jobs due, Vault back after an outage"
        report.add("back_pause", f"{what}: until the first rotation, on the wall", "s", [pause])
        report.add("back_rate", f"{what}: rotations a second from then on (fifths of the run)", "/s", back)
    if writes:
        ceiling = report.add("wrk_writes", "wrk: writes of a secret a second, 32 connections", "/s", writes)
        report.add("start_to_wrk", "overdue at start, against wrk's writes", "x", [one / ceiling for one in rates])
        report.add("back_to_wrk", "back after an outage, against wrk's writes", "x", [one / ceiling for one in back])
    else:
        report.note("wrk is not installed (Debian: apt-get install wrk): nothing to hold the rates against.")
    report.note(
        "The daemon, OpenBao and the token endpoint share the machine's processors; wrk has OpenBao for itself."
    )
    return report


def _ceiling(stand: House, bao: OpenBao, times: int, *, quick: bool) -> list[float]:
    if not wrk.is_there():
        return []
    token = bao.root_token.reveal()
    return [wrk.rate(stand.folder, stand.address, token, "write", seconds=1 if quick else 3) for _ in range(times)]


def _outage(stand: House, bao: OpenBao, jobs: int) -> tuple[float, list[float]]:
    """Seal the Vault, start with every job due, unseal it; return the seconds to the first rotation, and the rates."""
    config = stand.config(jobs, per_host=16, total=22, name="outage")
    text = config.read_text().replace('path = "tokens/', 'path = "outage/')
    config.write_text(text)
    bao.seal()
    with daemon(config, name="outage") as running:
        with suppress(RuntimeError):
            running.wait_for("store_failed", within=0.5 if jobs < OUTAGE_JOBS else 5)
        bao.unseal()
        back = time.time()
        running.wait(jobs)
        return min(running.rotated) - back, _rates(running.rotated, 5)


def _first(running: Daemon) -> float:
    return min(running.rotated) - running.began_at


def _rates(moments: list[float], parts: int) -> list[float]:
    """Return the rates of the run's parts."""
    ordered = sorted(moments)
    size = len(ordered) // parts
    return [(size - 1) / max(ordered[(n + 1) * size - 1] - ordered[n * size], 1e-3) for n in range(parts)]
