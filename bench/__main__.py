"""`python -m bench NAME ...`: run one benchmark or several, print what they found, and keep it in bench/results.

`all`: everything but `soak`, then the table of targets. `table` prints that alone. `page` writes the tables and the
picture of docs/explanation/performance.md. `--quick`: a run of seconds that shows no more than that it works; it is
kept where `--into` says, else nowhere.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Final

from bench import report as reports
from bench.report import Report
from bench.servers import one_for_all

NAMES: Final = ("rotation", "start", "cron", "scale", "burst", "flat", "lateness", "peers", "soak")
Benchmark = Callable[..., Report]


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*NAMES, "all", "table", "page"], metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures say nothing")
    parser.add_argument("--hours", type=float, default=8.0, help="how long the soak lasts")
    parser.add_argument("--into", type=Path, help="the folder to keep what was found in; else bench/results")
    options = parser.parse_args()
    chosen = {*options.names, *(NAMES[:-1] if "all" in options.names else ())}
    names = [name for name in NAMES if name in chosen]
    with ExitStack() as stack:
        if options.quick:
            stack.enter_context(one_for_all())
        _run(names, options)
    if {"all", "table"} & set(options.names):
        from bench import targets  # noqa: PLC0415  # at the end

        print(targets.table(reports.load()))
    if "page" in options.names:
        from bench import page  # noqa: PLC0415  # as above

        page.write()
    return 0


def _run(names: list[str], options: argparse.Namespace) -> None:
    for name in names:
        began = time.monotonic()
        more: Mapping[str, float] = {"hours": options.hours} if name == "soak" else {}
        benchmark: Benchmark = import_module(f"bench.{name}").run
        found = benchmark(quick=options.quick, **more)
        if options.into is not None or not options.quick:
            found.save(options.into or reports.RESULTS)
        print(found, f"({time.monotonic() - began:.0f} s)", sep="\n", end="\n\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
