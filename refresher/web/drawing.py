"""A timeline as shapes: a few paths for each job, however many tokens it had, so that a thousand jobs stay light."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from refresher.core.spans import span
from refresher.core.timeline import Span, Timeline

WIDTH: Final = 1000  # units of the drawing, whatever it measures on a screen
AHEAD: Final = timedelta(hours=4)  # what is drawn of the time to come
CROWD: Final = 150  # tokens in a day; more are drawn as one band for as long as one followed the other
GAP_LEAST: Final = 4.0  # units: a gap of a minute is to be seen
LIFE_LEAST: Final = 1.0
LANES: Final = ((2, 9), (13, 9))  # y and height: one token above, the next below, so that overlaps are seen
BAND: Final = (2, 20)
EDGE: Final = timedelta(minutes=90)  # an hour's name that is nearer to the right end would run into the next column


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """SVG path data in a box of 1000 by 24. `now` and `due` are x; `says` tells the same in words."""

    lanes: tuple[str, ...]
    gaps: str
    failed: str
    due: float | None
    now: float
    says: str


def draw(line: Timeline, *, due: datetime | None) -> Drawing:
    """Draw `line`; `due` is when the job is renewed next."""
    first, unit = line.since.timestamp(), WIDTH / (line.now + AHEAD - line.since).total_seconds()

    def x(moment: datetime) -> float:
        return round(min(max((moment.timestamp() - first) * unit, 0.0), WIDTH), 1)

    def box(one: Span, place: tuple[int, int], least: float) -> str:
        left, right = x(one.begin), WIDTH if one.end is None else x(one.end)
        return f"M{left:g} {place[0]}h{max(right - left, least):g}v{place[1]}H{left:g}z"

    if len(line.lives) > CROWD:
        lanes: tuple[str, ...] = ("".join(box(one, BAND, LIFE_LEAST) for one in _joined(line.lives)),)
    else:
        halves = (line.lives[0::2], line.lives[1::2])
        lanes = tuple(
            "".join(box(one, place, LIFE_LEAST) for one in half) for half, place in zip(halves, LANES, strict=True)
        )
    return Drawing(
        lanes=tuple(lane for lane in lanes if lane),
        gaps="".join(box(one, (0, 24), GAP_LEAST) for one in line.gaps),
        failed="".join(f"M{at:g} 16v8" for at in sorted({round(x(moment)) for moment in line.failed})),
        due=None if due is None else x(max(due, line.now)),
        now=x(line.now),
        says=_said(line),
    )


def _joined(lives: Iterable[Span]) -> list[Span]:
    """Return the stretches in which one token followed the other without a gap."""
    joined: list[Span] = []
    for life in lives:
        last = joined[-1] if joined else None
        if last is None or (last.end is not None and last.end < life.begin):
            joined.append(life)
        else:
            ends = None if last.end is None or life.end is None else max(last.end, life.end)
            joined[-1] = Span(begin=last.begin, end=ends)
    return joined


def hours(now: datetime) -> Iterable[tuple[float, str]]:
    """Yield every sixth hour of the last 24 and of those ahead, for the axis: where it is, in percent, and its name."""
    since = now - timedelta(hours=24)
    hour = since.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    while hour + EDGE < now + AHEAD:
        if hour.hour % 6 == 0:
            yield round((hour - since) / (now + AHEAD - since) * 100, 2), f"{hour:%H:%M}"
        hour += timedelta(hours=1)


def _said(line: Timeline) -> str:
    tokens, failed = len(line.lives), len(line.failed)
    words = [f"{tokens} token{'s' if tokens != 1 else ''} in 24 hours"]
    if line.gaps:
        first = line.gaps[0]
        until = "now" if first.end == line.now else f"{first.end:%H:%M:%S}"
        more = f" and {len(line.gaps) - 1} more" if len(line.gaps) > 1 else ""
        words.append(
            f"readers found nothing alive for {span(line.dead_for())} ({first.begin:%H:%M:%S} to {until}{more})"
        )
    else:
        words.append("no gap")
    if failed:
        words.append(f"{failed} failed {'try' if failed == 1 else 'tries'}")
    return ", ".join(words)
