"""The demo's live table: what was told of each job, beside what a reader sees of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from refresher.core.events import Event
from refresher.demo.reader import Seen

BAR: Final = 14  # characters: the table fits into 80 columns
FRESH: Final = "fresh"


@dataclass(slots=True, kw_only=True)
class Told:
    """What the events said of one job."""

    state: str = "waiting"
    rotations: int = 0


class Board:
    """ports.Sink that counts rotations and draws a table."""

    def __init__(self, jobs: Iterable[str]) -> None:
        self._told = {name: Told() for name in jobs}

    @property
    def rotations(self) -> int:
        return sum(told.rotations for told in self._told.values())

    def tell(self, event: Event) -> None:
        """Note what happened to a job."""
        if (told := self._told.get(event.job)) is None:
            return
        told.state = FRESH if event.name in {"rotated", "recovered"} else event.name.removeprefix("rotation_")
        if event.name == "rotated":
            told.rotations += 1

    def table(self, seen: Mapping[str, Seen], now: datetime) -> Table:
        """Return the table as of `now`."""
        table = Table(box=None, header_style="dim", pad_edge=False, collapse_padding=True)
        table.add_column("job", no_wrap=True)
        table.add_column("state", no_wrap=True, min_width=7)
        table.add_column("version", justify="right")
        table.add_column("life left", width=BAR)
        table.add_column("", justify="right", min_width=6)
        table.add_column("last rotation", no_wrap=True)
        for name, told in self._told.items():
            table.add_row(
                Text(name, style="bold"),
                Text(told.state, style="green" if told.state == FRESH else "yellow"),
                str(seen[name].version or "-"),
                *_life(seen[name], now),
                _last(seen[name], now),
            )
        return table


def _life(seen: Seen, now: datetime) -> tuple[RenderableType, str]:
    if seen.expires_at is None or seen.issued_at is None:
        return "", "-"
    left = max(seen.expires_at - now, timedelta()).total_seconds()
    whole = (seen.expires_at - seen.issued_at).total_seconds()
    return ProgressBar(
        total=whole, completed=left, width=BAR, complete_style="green", finished_style="green"
    ), f"{left:.1f} s"


def _last(seen: Seen, now: datetime) -> str:
    return "-" if seen.issued_at is None else f"{(now - seen.issued_at).total_seconds():.0f} s ago"
