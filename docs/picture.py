"""Makes docs/img/demo.svg: the demo as it is after some seconds, from a real run. `make picture`."""

import io
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType

from refresher.cli.demo import _serve
from refresher.demo import run
from refresher.demo.board import Board
from refresher.demo.reader import Seen

TARGET = Path(__file__).with_name("img") / "demo.svg"
WIDTH = 82
LENGTH = timedelta(seconds=27)
# The terminal's own font serves: the picture loads nothing from anywhere.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> None:
    """Run the demo on a terminal that nobody sees, and draw its last table and sentence."""
    shown: list[RenderableType] = []

    async def draw(_console: Console, board: Board, seen: Mapping[str, Seen]) -> None:
        while True:
            shown[:] = [board.table(seen, run.CLOCK.now())]
            await run.CLOCK.sleep(run.FRAME)

    run._draw = draw  # noqa: SLF001  # the one place where a table is drawn
    hidden = Console(file=io.StringIO(), force_terminal=True, width=WIDTH)
    if run.Demo(serve=_serve, length=LENGTH, console=hidden).run():
        raise SystemExit("the demo did not end well")
    paper = Console(record=True, file=io.StringIO(), force_terminal=True, width=WIDTH)
    paper.print("$ make demo", style="dim")
    paper.print(*shown)
    paper.print(hidden.file.getvalue().splitlines()[-1], highlight=False)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(paper.export_svg(title="refresher demo", code_format=FORMAT))


if __name__ == "__main__":
    main()
