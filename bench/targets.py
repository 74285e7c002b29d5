"""The targets, with what was measured beside them. A target is a ratio within one run wherever it can be one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bench.report import Figure, Report, digits

Found = Mapping[str, Report]


@dataclass(frozen=True, slots=True)
class Target:
    """`figures` are keys `benchmark.figure`; each is to be at most (`at_least`: at least) its bound, in `unit`."""

    what: str
    bound: float
    unit: str
    figures: tuple[str, ...]
    at_least: bool = False

    @property
    def said(self) -> str:
        """The target in words."""
        return f"{'at least' if self.at_least else 'at most'} {digits(self.bound)}{_unit(self.unit)}"

    def measured(self, found: Found) -> tuple[str, bool | None]:
        """Return what was measured, and whether it is well; None: not measured."""
        values = [figure for key in self.figures if (figure := figure_of(found, key)) is not None]
        if len(values) < len(self.figures):
            return "not measured", None
        worst = (min if self.at_least else max)(values, key=lambda one: one.median)
        well = worst.median >= self.bound if self.at_least else worst.median <= self.bound
        spread = f" ({digits(worst.least)} to {digits(worst.most)})" if worst.count > 1 else ""
        return f"{digits(worst.median)}{_unit(self.unit)}{spread}", well


TARGETS: Final = (
    Target("whole path against the bare pair, same client, 8 in flight", 1.15, "x", ("rotation.whole_to_pair",)),
    Target("the same against the bare pair by refresher's own wire", 1.15, "x", ("rotation.whole_to_wire",)),
    Target("whole path against a bare stock httpx pair", 0.6, "x", ("rotation.whole_to_httpx",)),
    Target("128 in flight against 1", 1.3, "x", ("flat.whole_flight_128_to_1",)),
    Target("200 token hosts against 1", 1.3, "x", ("flat.whole_origin_200_to_1",)),
    Target("burst of 10,000 due at start against wrk's writes", 0.3, "x", ("burst.start_to_wrk",), at_least=True),
    Target("Vault back after an outage against wrk's writes", 0.3, "x", ("burst.back_to_wrk",), at_least=True),
    Target("processor time of curl, jq, bao kv put against ours", 80, "x", ("cron.bao_to_whole",), at_least=True),
    Target("Vault writes per rotation, steady state", 1, "", ("rotation.vault_writes",)),
    Target("Vault reads per rotation, steady state", 0, "", ("rotation.vault_reads", "rotation.vault_other")),
    Target("loop held, 10,000 due at once (processor time)", 50, "ms", ("scale.blocked_10000",)),
    Target("dropped, 100,000 due at once", 0, "", ("scale.dropped_100000",)),
    Target("lateness p99, 500 due a second", 5, "ms", ("lateness.bell_500_p99",)),
    Target("100,000 jobs: start to the first rotation (processor time)", 10, "s", ("scale.first_cpu",)),
    Target("100,000 jobs: all scheduled (processor time, the wire left out)", 20, "s", ("scale.start_100000",)),
    Target("memory per job, 100,000 jobs", 2, "KiB", ("scale.memory_100000",)),
    Target("--version against a bare interpreter", 3, "x", ("start.version_to_bare",)),
    Target("--help against a bare interpreter", 5, "x", ("start.help_to_bare",)),
    Target(
        "growth from 1,000 to 100,000 jobs, exponent",
        1.05,
        "",
        ("scale.exponent_start", "scale.exponent_sweep", "scale.exponent_walk"),
    ),
    Target("soak: growth of the resident memory (hours: see below)", 5, "%", ("soak.rss_growth",)),
    Target("soak: open files and threads more", 0, "", ("soak.descriptors_change", "soak.threads_change")),
)


def figure_of(found: Found, key: str) -> Figure | None:
    """Return the figure `benchmark.figure`, None where that was not run."""
    benchmark, _, figure = key.partition(".")
    return found[benchmark].figures.get(figure) if benchmark in found else None


def rows(found: Found) -> list[tuple[str, str, str, str]]:
    """Return what, target, measured, verdict."""
    verdicts: Mapping[bool | None, str] = {True: "met", False: "missed", None: ""}
    return [(one.what, one.said, *_with(one.measured(found), verdicts)) for one in TARGETS]


def table(found: Found) -> str:
    """Return the table as text."""
    lines = [("what", "target", "measured", ""), *rows(found)]
    widths = [max(len(line[place]) for line in lines) for place in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _with(measured: tuple[str, bool | None], verdicts: Mapping[bool | None, str]) -> tuple[str, str]:
    return measured[0], verdicts[measured[1]]


def _unit(unit: str) -> str:
    return f" {unit}" if unit and unit != "%" else unit
