"""`start`: what a verb costs before it does anything, against a bare interpreter."""

import sys
from collections import defaultdict
from typing import Final

from bench.processes import REFRESHER, cost
from bench.report import Report
from bench.servers import empty_house

VERBS: Final = {
    "version": ("--version",),
    "help": ("--help",),
    "providers": ("providers",),
    "check_help": ("check", "--help"),
    "check": ("check", "--config", "{config}"),
    "plan": ("plan", "--config", "{config}"),
}


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("start", quick=quick)
    costs: defaultdict[str, list[float]] = defaultdict(list)
    with empty_house() as stand:
        config = str(stand.config(10))
        ways: dict[str, tuple[str, ...]] = {"bare": (sys.executable, "-c", "pass")}
        verbs = dict(list(VERBS.items())[:2]) if quick else VERBS
        ways |= {key: (*REFRESHER, *(w.format(config=config) for w in words)) for key, words in verbs.items()}
        for turn in range(2 if quick else 8):
            for key, command in ways.items():
                spent = cost(command)
                if turn:  # the first is to warm up
                    costs[key].append(spent.cpu * 1000)
    report.add("bare_ms", "python -c pass, processor time", "ms", costs["bare"])
    for key, words in verbs.items():
        said = " ".join(("refresher", *words)).replace("{config}", "jobs.toml")
        report.add(f"{key}_ms", f"{said}, processor time", "ms", costs[key])
        report.ratio(f"{key}_to_bare", f"{said}, against a bare interpreter", costs[key], costs["bare"])
    report.note("jobs.toml has ten jobs.")
    return report
