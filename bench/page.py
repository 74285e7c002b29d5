"""docs/explanation/performance.md and its picture, from bench/results: `python -m bench page`.

The page's tables stand between `<!-- table NAME -->` and `<!-- end -->`, figures in its text between
`<!-- BENCHMARK.FIGURE -->` and `<!-- -->`. All else of the page is written by hand.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from bench import counts, cron, flat, rotation, scale, start, targets
from bench.report import digits, load
from bench.targets import Found, figure_of

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "explanation" / "performance.md"
PICTURE: Final = ROOT / "docs" / "img" / "performance.svg"
TABLE: Final = re.compile(r"(<!-- table ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
FIGURE: Final = re.compile(r"(<!-- ([a-z]+\.[a-z0-9_]+) -->).*?(<!-- -->)")


def write() -> None:
    """Bring the page and the picture up to date."""
    found = load()
    PAGE.write_text(page(PAGE.read_text(), found))
    PICTURE.write_text(picture(found))


def page(text: str, found: Found) -> str:
    """Return the page with the tables and figures of `found`. Raises KeyError for one that is not there."""
    text = TABLE.sub(lambda block: block[1] + _table(TABLES[block[2]](found)) + "\n" + block[3], text)
    return FIGURE.sub(lambda block: block[1] + _said(found, block[2]) + block[3], text)


def _targets(found: Found) -> list[Sequence[str]]:
    return [("what", "target", "measured", ""), *targets.rows(found)]


def _rotation(found: Found) -> list[Sequence[str]]:
    head = ("processor time per rotation", "median", "least to most", "the whole path against it")
    rows = [_row(found, f"rotation.{key}_ms", what) for key, what in rotation.WHATS.items()]
    ratios = ["1"] + [_said(found, f"rotation.whole_to_{key}") for key in rotation.WHATS if key != "whole"]
    return [head, *((*row, ratio) for row, ratio in zip(rows, ratios, strict=True))]


def _counts(found: Found) -> list[Sequence[str]]:
    return [("what", "count"), *((what, _said(found, f"rotation.{key}")) for key, what in counts.WHATS.items())]


def _cron(found: Found) -> list[Sequence[str]]:
    head = ("processor time per rotation", "median", "least to most", "against refresher")
    rows = [_row(found, f"cron.{key}_ms", what) for key, what in cron.WHATS.items()]
    ratios = ["1"] + [_said(found, f"cron.{key}_to_whole") for key in cron.WHATS if key != "whole"]
    return [head, *((*row, ratio) for row, ratio in zip(rows, ratios, strict=True))]


def _burst(found: Found) -> list[Sequence[str]]:
    return _all(found, "burst")


def _flat(found: Found) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        ("processor time per rotation", "refresher", "against one", "stock httpx, the bare pair", "against one")
    ]
    for kind, sizes, unit in (("flight", flat.FLIGHTS, "in flight"), ("origin", flat.ORIGINS, "token hosts")):
        for size in sizes:
            cells = [f"{size} {unit}"]
            for who in ("whole", "httpx"):
                first = size == sizes[0]
                ratio = "1" if first else _said(found, f"flat.{who}_{kind}_{size}_to_1")
                cells += [_said(found, f"flat.{who}_{kind}_{size}_ms"), ratio]
            rows.append(cells)
    return rows


def _scale(found: Found) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("what", *(f"{size:,} jobs" for size in scale.SIZES), "exponent")]
    for key, what in {"start": "from start to all scheduled", **scale.WHATS}.items():
        sizes = [_said(found, f"scale.{key}_{size}") for size in scale.SIZES]
        rows.append((what, *sizes, _said(found, f"scale.exponent_{key}")))
    for key, what in (
        ("memory", "memory per job"),
        ("blocked", "all due at once: longest the loop is held, processor time"),
        ("dropped", "all due at once: dropped"),
    ):
        rows.append((what, *(_said(found, f"scale.{key}_{size}") for size in scale.SIZES), ""))
    return rows


def _start(found: Found) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("command", "processor time", "against a bare interpreter")]
    rows.append(("`python -c pass`", _said(found, "start.bare_ms"), "1"))
    for key, words in start.VERBS.items():
        said = " ".join(("refresher", *words)).replace("{config}", "jobs.toml")
        rows.append((f"`{said}`", _said(found, f"start.{key}_ms"), _said(found, f"start.{key}_to_bare")))
    return rows


def _lateness(found: Found) -> list[Sequence[str]]:
    return _all(found, "lateness")


def _peers(found: Found) -> list[Sequence[str]]:
    return _all(found, "peers")


def _soak(found: Found) -> list[Sequence[str]]:
    return _all(found, "soak")


TABLES: Final[Mapping[str, Callable[[Found], list[Sequence[str]]]]] = {
    "targets": _targets,
    "rotation": _rotation,
    "counts": _counts,
    "cron": _cron,
    "burst": _burst,
    "flat": _flat,
    "scale": _scale,
    "start": _start,
    "lateness": _lateness,
    "peers": _peers,
    "soak": _soak,
}


def _all(found: Found, name: str) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("what", "median", "least to most")]
    for one in found[name].figures.values() if name in found else ():
        unit = f" {one.unit}" if one.unit else ""
        rows.append(
            (
                one.what,
                f"{digits(one.median)}{unit}",
                f"{digits(one.least)} to {digits(one.most)}" if one.count > 1 else "",
            )
        )
    return rows


def _row(found: Found, key: str, what: str) -> tuple[str, str, str]:
    figure = figure_of(found, key)
    if figure is None:
        return what, "not measured", ""
    return what, f"{digits(figure.median)} {figure.unit}", f"{digits(figure.least)} to {digits(figure.most)}"


def _said(found: Found, key: str) -> str:
    figure = figure_of(found, key)
    if figure is None:
        return "not measured"
    return f"{digits(figure.median)} {figure.unit}".strip()


def _table(rows: list[Sequence[str]]) -> str:
    head, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *rest])


WIDTH: Final = 760
LEFT: Final = 420  # where the bars begin
BAR: Final = 22


def picture(found: Found) -> str:
    """Return the SVG: what a rotation costs, by whom."""
    bars = [
        (what, figure.median, key)
        for key, what in rotation.WHATS.items()
        if (figure := figure_of(found, f"rotation.{key}_ms"))
    ]
    longest = max(value for _, value, _ in bars)
    height = 64 + BAR * len(bars) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15">{escape(TITLE)}</text>',
        f'<text x="12" y="44" fill="#555555">{escape(UNDER)}</text>',
    ]
    for place, (what, value, key) in enumerate(bars):
        y = 64 + BAR * place
        width = max(1.0, value / longest * (WIDTH - LEFT - 70))
        colour = "#1f6f43" if key == "whole" else "#9aa5b1"
        name = what.removeprefix("the bare pair, by ").removesuffix(", as refresher uses them")
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="{BAR - 7}" fill="{colour}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 14}">{digits(value)} ms</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])


FONT: Final = 'font-family="sans-serif" font-size="12"'
TITLE: Final = "Processor time of one rotation: the whole path, and the bare pair of requests by others"
UNDER: Final = "Eight in flight, a real OpenBao; medians of one run (bench/results/rotation.json)"
