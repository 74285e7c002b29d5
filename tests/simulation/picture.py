"""One simulation as one SVG: what was away, what was asked for, and what readers found, over the same days."""

from collections.abc import Iterable, Iterator
from html import escape

from tests.simulation.run import Report

WIDTH, LEFT, RIGHT, TOP = 1000, 96, 976, 172
ASKED, STRIPS, DEAD = 170, 22, 90  # heights
GAP = 46
STYLE = """
.bg{fill:#fff} text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#24292f}
.title{font-size:19px;font-weight:600} .dim{fill:#57606a} .number{font-size:21px;font-weight:600} .end{text-anchor:end}
.mid{text-anchor:middle} .axis{stroke:#8c959f;stroke-width:1} .grid{stroke:#d0d7de;stroke-width:1}
.granted{fill:#54aeff} .failed{fill:#bc4c00} .short{fill:#8c959f} .long{fill:#8250df} .inside{fill:#8250df}
.outside{fill:#cf222e} .good{fill:#1a7f37} .bad{fill:#cf222e} .tile{fill:#f6f8fa;stroke:#d0d7de}
@media (prefers-color-scheme:dark){.bg{fill:#0d1117} text{fill:#e6edf3} .dim{fill:#9198a1} .axis{stroke:#6e7681}
.grid{stroke:#30363d} .granted{fill:#388bfd} .failed{fill:#f0883e} .short{fill:#6e7681} .long{fill:#a371f7}
.inside{fill:#a371f7} .outside{fill:#ff7b72} .good{fill:#3fb950} .bad{fill:#ff7b72}
.tile{fill:#161b22;stroke:#30363d}}
"""


class Paper:
    """Gathers the elements."""

    def __init__(self, seconds: float) -> None:
        self.parts: list[str] = []
        self._seconds = seconds

    def x(self, at: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(max(at / self._seconds, 0), 1)

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str, told: str = "") -> None:
        title = f"<title>{escape(told)}</title>" if told else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}">{title}</rect>'
        )

    def line(self, y: float, kind: str) -> None:
        self.parts.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="{kind}"/>')

    def area(self, y: float, tops: list[float], bottoms: list[float], kind: str) -> None:
        """Fill between two lines of heights above `y`, one value an hour, as steps."""
        width = self.x(3600) - LEFT
        there = [
            f"{LEFT + width * i:.1f},{y - top:.1f} {LEFT + width * (i + 1):.1f},{y - top:.1f}" for i, top in _of(tops)
        ]
        back = [
            f"{LEFT + width * (i + 1):.1f},{y - low:.1f} {LEFT + width * i:.1f},{y - low:.1f}"
            for i, low in _of(bottoms)
        ]
        self.parts.append(f'<polygon points="{" ".join((*there, *reversed(back)))}" class="{kind}"/>')


def draw(report: Report) -> str:
    """Return the SVG of `report`."""
    seconds = report.plan.seconds
    paper = Paper(seconds)
    _head(paper, report)
    y = _asked(paper, report, TOP + ASKED)
    y = _strips(paper, report, y + GAP)
    y = _dead(paper, report, y + GAP + DEAD - 8)
    _days(paper, report, y)
    height = y + 40
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}"'
        f' height="{height:.0f}" role="img"><title>{escape(_title(report))}</title><style>{STYLE}</style>'
        f'<rect class="bg" width="{WIDTH}" height="{height:.0f}"/>'
    )
    return "\n".join((head, *paper.parts, "</svg>")) + "\n"


def _title(report: Report) -> str:
    plan = report.plan
    return f"{plan.jobs:,} jobs with tokens of an hour for {plan.days:g} virtual days, seed {plan.seed}"


def _head(paper: Paper, report: Report) -> None:
    paper.text(24, 36, _title(report), "title")
    verdict = "good" if not report.wrong else "bad"
    paper.text(WIDTH - 24, 36, f"verdict: {verdict}", f"title end {verdict}")
    tiles = (
        (f"{report.expired.outside:.0f} s", "expired, outside long outages"),
        (f"{report.lost}", "refresh tokens lost"),
        (f"{report.written:,}", "rotations"),
        (f"{report.per_job_hour:.2f}", f"requests a job and hour; usual {report.nominal:.2f}"),
        (f"{report.peak_to_mean:.0f} ; {report.calm_peak_to_mean:.1f}", "peak to mean; in calm times"),
        (f"{report.wall_s / 60:.1f} min", f"on the wall, {report.cpu_s / 60:.1f} of CPU"),
    )
    width = (WIDTH - 48 - 5 * 8) / len(tiles)
    for number, (figure, words) in enumerate(tiles):
        x = 24 + number * (width + 8)
        paper.parts.append(f'<rect x="{x:.1f}" y="54" width="{width:.1f}" height="76" rx="6" class="tile"/>')
        paper.text(x + 12, 84, figure, "number")
        for row, part in enumerate(_wrapped(words, 19)):
            paper.text(x + 12, 104 + 16 * row, part, "dim")


def _asked(paper: Paper, report: Report, y: float) -> float:
    """Requests an hour: those that brought a token, and on top those that did not."""
    hours = max(int(report.plan.seconds // 3600), 1)
    all_, failed = _hourly(report.by_minute, hours), _hourly(report.failed_by_minute, hours)
    most = max(all_)
    scale = ASKED * 0.94 / most
    paper.text(LEFT, y - ASKED - 6, "Requests to providers in each hour: ", "")
    paper.parts[-1] = paper.parts[-1].replace(
        "</text>", _key(("granted", "granted"), ("failed", "not granted")) + "</text>"
    )
    for mark in _marks(most):
        paper.line(y - mark * scale, "grid")
        paper.text(LEFT - 8, y - mark * scale + 4, f"{mark:,}", "dim end")
    granted = [one - bad for one, bad in zip(all_, failed, strict=True)]
    paper.area(y, [one * scale for one in granted], [0.0] * len(granted), "granted")
    paper.area(y, [one * scale for one in all_], [one * scale for one in granted], "failed")
    paper.line(y, "axis")
    return y


def _strips(paper: Paper, report: Report, y: float) -> float:
    """What was away, and when."""
    paper.text(LEFT, y - 10, "Declared outages: ", "")
    long, short = ("long", f"longer than {report.plan.promised / 60:.0f} min"), ("short", "shorter")
    paper.parts[-1] = paper.parts[-1].replace("</text>", _key(long, short) + "</text>")
    for label, what in (("Vault", "vault"), ("daemon", "daemon"), ("a provider", "host "), ("one client", "job ")):
        paper.text(LEFT - 8, y + 15, label, "dim end")
        paper.line(y + STRIPS - 3, "grid")
        for span in sorted(report.spans, key=lambda one: one.ends - one.begins):
            if span.what.startswith(what):
                lasts = span.ends - span.begins
                kind = "long" if lasts > report.plan.promised else "short"
                told = f"{span.what}: {span.how}, {lasts / 60:.1f} min"
                paper.rect(
                    paper.x(span.begins), y + 2, max(paper.x(span.ends) - paper.x(span.begins), 0.8), 16, kind, told
                )
        y += STRIPS
    return y


def _dead(paper: Paper, report: Report, y: float) -> float:
    """Expired-seconds of each hour."""
    hours = [0.0] * max(int(report.plan.seconds // 3600), 1)
    for _, begins, ends in report.dead:
        for hour in range(int(begins // 3600), min(int(ends // 3600) + 1, len(hours))):
            hours[hour] += max(min(ends, (hour + 1) * 3600) - max(begins, hour * 3600), 0)
    most = max(1.0, *hours)
    scale = DEAD * 0.9 / most
    kind = "outside" if report.expired.outside >= 1 else "inside"
    words = f"in long outages {report.expired.during:,.0f}, until recovered {report.expired.after:,.0f}"
    paper.text(
        LEFT,
        y - DEAD - 6,
        f"Expired-seconds in each hour, all jobs together: {words}, outside {report.expired.outside:,.0f}",
    )
    for mark in _marks(most):
        paper.line(y - mark * scale, "grid")
        paper.text(LEFT - 8, y - mark * scale + 4, f"{mark:,}", "dim end")
    paper.area(y, [one * scale for one in hours], [0.0] * len(hours), kind)
    paper.line(y, "axis")
    return y


def _days(paper: Paper, report: Report, y: float) -> None:
    days = report.plan.days
    step = max(round(days / 10), 1) if days > 2 else 0.25
    at = 0.0
    while at <= days:
        paper.text(paper.x(at * 86_400), y + 20, f"{at:g}", "dim mid")
        at += step
    paper.text(LEFT - 8, y + 20, "day", "dim end")


def _key(*kinds: tuple[str, str]) -> str:
    return "".join(
        f'<tspan class="{kind}" dx="6">\u25a0</tspan><tspan class="dim" dx="4">{escape(words)}</tspan>'
        for kind, words in kinds
    )


def _hourly(minutes: tuple[int, ...], hours: int) -> list[int]:
    """Return the counts of whole hours; time that the machine slept through lengthens the last day, and is left out."""
    return [sum(minutes[start : start + 60]) for start in range(0, hours * 60, 60)]


def _marks(most: float) -> Iterator[int]:
    """Yield two to five round numbers up to `most`."""
    step = 1
    while most / step >= 5:
        step *= 5 if str(step)[0] in "24" and str(step)[0] == "2" else 2
        if str(step).startswith("4"):
            step = step // 4 * 5
    yield from range(step, int(most) + 1, step)


def _wrapped(words: str, width: int) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def _of(values: Iterable[float]) -> Iterable[tuple[int, float]]:
    return enumerate(values)
