"""A small chart of bars for people: so many rows of eighths of a block."""

from collections.abc import Iterator, Sequence
from typing import Final

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
ROWS: Final = 4
WIDTH: Final = 2  # characters of a column


def chart(counts: Sequence[int], labels: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a chart of `counts`; `labels` stand below, each at its column, `""` for none."""
    most = max(counts, default=0)
    scale = len(str(most))
    for row in reversed(range(ROWS)):
        label = str(most) if row == ROWS - 1 else "0" if row == 0 else ""
        bars = "".join(_block(count, most, row) * WIDTH for count in counts)
        yield f"{label:>{scale}} │{bars}".rstrip()
    below = ""
    for number, label in enumerate(labels):
        below = below.ljust(number * WIDTH) + label if label and len(below) <= number * WIDTH else below
    yield f"{'':>{scale}} └{below}"


def _block(count: int, most: int, row: int) -> str:
    """Return the part of a bar that stands in `row` from below; what is there at all is seen."""
    eighths = max(round(count / most * ROWS * 8), 1) if count else 0
    return EIGHTHS[min(max(eighths - row * 8, 0), 8)]
