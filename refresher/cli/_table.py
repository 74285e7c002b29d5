"""A table for a terminal: a line for each row, however many there are.

Columns are as wide as their widest cell; where the terminal is narrower, one of them gives room. Without a terminal
nothing is cut. rich's tables take half a second for a thousand rows.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final

GAP: Final = "  "
BOLD: Final = "1"
RED, GREEN, YELLOW, CYAN = "1;31", "32", "33", "36"  # SGR of ECMA-48


def lines(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    gives: str,
    coloured: str = "",
    colour: Callable[[str], str] = lambda _: "",
) -> list[str]:
    """Return the lines: the column `gives` is cut where there is no room, `coloured` has the colour of its cells."""
    cells = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    giver, painted = headings.index(gives), headings.index(coloured) if coloured else -1
    over = sum(widths) + len(GAP) * (len(widths) - 1) - _room()
    widths[giver] = max(widths[giver] - max(over, 0), len(gives))
    shown = []
    for number, row in enumerate(cells):
        padded = [cut(text, width).ljust(width) for text, width in zip(row, widths, strict=True)]
        if number and painted >= 0:
            padded[painted] = styled(padded[painted], colour(row[painted]))
        line = GAP.join(padded).rstrip()
        shown.append(line if number else styled(line, BOLD))
    return shown


def cut(text: str, most: int) -> str:
    """Return `text` in so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def styled(text: str, style: str) -> str:
    """Return `text` in a style, where a terminal shows it."""
    plain = not style or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\x1b[{style}m{text}\x1b[0m"


def _room() -> int:
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return shutil.get_terminal_size().columns if known else sys.maxsize
