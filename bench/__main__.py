"""`python -m bench NAME ...`: run one benchmark or several, print what they found, and keep it in bench/results.

`all`: everything but `soak`, then the table of targets. `table` prints that alone. `page` writes the tables and the
picture of docs/explanation/performance.md. `--quick`: a run of seconds that shows no more than that it works, and is
kept nowhere.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from bench import report as reports
from bench.report import Report

NAMES: Final = ("rotation", "cron", "burst", "flat", "scale", "lateness", "start", "peers", "soak")
Benchmark = Callable[..., Report]


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*NAMES, "all", "table", "page"], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures say nothing")
    parser.add_argument("--hours", type=float, default=8.0, help="how long the soak lasts")
    options = parser.parse_args()
    names = list(NAMES[:-1]) if "all" in options.names else [name for name in options.names if name in NAMES]
    for name in names:
        began = time.monotonic()
        more: Mapping[str, float] = {"hours": options.hours} if name == "soak" else {}
        benchmark: Benchmark = import_module(f"bench.{name}").run
        found = benchmark(quick=options.quick, **more)
        found.save(Path(tempfile.gettempdir()) / "refresher-bench" if options.quick else reports.RESULTS)
        print(found, f"({time.monotonic() - began:.0f} s)", sep="\n", end="\n\n", flush=True)
    if {"all", "table"} & set(options.names):
        from bench import targets  # noqa: PLC0415  # at the end

        print(targets.table(reports.load()))
    if "page" in options.names:
        from bench import page  # noqa: PLC0415  # as above

        page.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
