"""docs/explanation/leaks.md and the marks of its tests: `python -m tests.guards.leaks` brings it up to date.

As faults.py does for the faults, with `@pytest.mark.leak("L7")`. The page's last column is made of the marks.
"""

import re
from pathlib import Path

from tests.guards import faults

PAGE = faults.PAGE.with_name("leaks.md")
ROWS = tuple(f"L{number}" for number in range(1, 35))
ROW = re.compile(r"^\| (L\d+) \| (.+?) \| (.+?) \|.*\|$", re.MULTILINE)


def collect(folder: Path = faults.TESTS) -> faults.Marks:
    """Read the marks of every test below `folder`."""
    return faults.collect(folder, mark="leak", known=ROWS)


def filled(text: str, marks: faults.Marks) -> str:
    """Return the page with its last column made of the marks."""
    return ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {row[3]} | {_cells(marks.tests.get(row[1], []))} |", text)


def _cells(tests: list[faults.Marked]) -> str:
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.file, []).append(f"`{test.test}`")
    cells = [f"[{file.removesuffix('.py')}](../../tests/{file}): {', '.join(names)}" for file, names in files.items()]
    return "<br>".join(cells)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8"), collect()), "utf-8")
