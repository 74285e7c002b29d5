"""`soak`: a daemon at work for hours: does it grow? `python -m bench soak --hours 8`."""

import time
from typing import Final

from bench.processes import daemon
from bench.report import Report
from bench.servers import house

JOBS: Final = 200
LIFETIME: Final = 60  # seconds: each job rotates twice a minute
WARM: Final = 1 / 8  # of the run is to warm up: an hour of eight


def run(*, quick: bool, hours: float = 8.0) -> Report:
    """Measure."""
    report = Report("soak", quick=quick)
    seconds, every = (3.0, 0.5) if quick else (hours * 3600, 30.0)
    samples: list[tuple[float, int, int, int]] = []
    with (
        house(lifetime=LIFETIME) as (stand, _),
        daemon(stand.config(JOBS, listen=str(stand.folder / "web"))) as running,
    ):
        began = time.monotonic()
        while (at := time.monotonic() - began) < seconds:
            time.sleep(every)
            running.poll()
            samples.append((at, running.rss, running.descriptors, running.threads))
        running.poll()
        cpu, rotations = running.cpu, len(running.rotated)
    warm = [one for one in samples if one[0] >= seconds * WARM]
    first, last = warm[: len(warm) // 5 + 1], warm[-(len(warm) // 5 + 1) :]
    report.add("hours", "hours", "h", [seconds / 3600])
    report.add("rotations", "rotations", "", [rotations])
    report.add("cpu_ms", "processor time per rotation, everything counted", "ms", [cpu / max(rotations, 1) * 1000])
    for place, (key, what, unit, scale) in enumerate(
        (
            ("rss", "resident memory", "MiB", 2**20),
            ("descriptors", "open files", "", 1),
            ("threads", "threads", "", 1),
        ),
        start=1,
    ):
        report.add(
            f"{key}_first",
            f"{what}, the first fifth after an eighth of the run",
            unit,
            [o[place] / scale for o in first],
        )
        report.add(f"{key}_last", f"{what}, the last fifth", unit, [o[place] / scale for o in last])
    grown = report.figures["rss_last"].median / report.figures["rss_first"].median - 1
    report.add("rss_growth", "growth of the resident memory after the first eighth", "%", [grown * 100])
    for key in ("descriptors", "threads"):
        change = report.figures[f"{key}_last"].median - report.figures[f"{key}_first"].median
        report.add(f"{key}_change", f"{key} more than after the first eighth", "", [change])
    report.note(f"{JOBS} jobs whose tokens live {LIFETIME} s; the page is on. Samples each {every:g} s.")
    return report
