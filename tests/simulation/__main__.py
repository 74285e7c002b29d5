"""Simulate a daemon's life under faults: python -m tests.simulation --days 30 --jobs 500 --seed 1 --svg out.svg."""

import argparse
import sys
from pathlib import Path

from tests.simulation.faults import PLAIN, Faults
from tests.simulation.picture import draw
from tests.simulation.planted import NAMES
from tests.simulation.run import simulate
from tests.simulation.world import Plan


def main() -> int:
    """Return 0 where the verdict is good, 1 where it is bad."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.partition(":")[0])
    parser.add_argument("--days", type=float, default=1.0, help="virtual days (1)")
    parser.add_argument("--jobs", type=int, default=50, help="jobs, with tokens of an hour (50)")
    parser.add_argument("--seed", type=int, default=1, help="everything is drawn from it (1)")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=RATE", help="see faults.py; all=0: none")
    parser.add_argument("--plain", action="store_true", help="the few faults that very many jobs are run with")
    parser.add_argument("--plant", default="", choices=("", *NAMES), help="a bug that it should catch")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw what came of it")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write all that happened, line by line")
    words = parser.parse_args()
    try:
        faults = (PLAIN if words.plain else Faults()).changed(words.fault)
    except ValueError as error:
        parser.error(str(error))
    plan = Plan(days=words.days, jobs=words.jobs, seed=words.seed, faults=faults, plant=words.plant)
    if words.trace is None:
        report = simulate(plan, progress=sys.stderr.write)
    else:
        with words.trace.open("w") as file:
            report = simulate(plan, tail=file.write)
    print(report)
    if words.svg is not None:
        words.svg.write_text(draw(report))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
