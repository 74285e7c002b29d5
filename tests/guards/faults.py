"""docs/explanation/faults.md and the marks of its tests: `python -m tests.guards.faults` brings the page up to date.

A test that provokes a fault says so: `@pytest.mark.fault("F12")`, or `pytestmark` for its whole module. Of each row of
the page the last two cells (how it is provoked, by which tests) and the count at the top are made of these marks; the
others are written by hand, the figures from runs. The command also clears a conflict of two branches on the page.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "faults.md"
ROWS = tuple(f"F{number}" for number in range(1, 63))
COUNT = re.compile(r"^Of \d+ (?:faults|answers), .*$", re.MULTILINE)
ROW = re.compile(r"^\| ([FV]\d+) \|.*$", re.MULTILINE)
UNMEASURED = "| not yet measured |"
REAL = {"host", "state", "wire"}  # folders whose tests are about real files, sockets and processes
REAL_MARKS = {"e2e", "host"}


@dataclass(frozen=True, slots=True)
class Marked:
    """A test that provokes a fault. `file` is below tests/; `real`: with real files, sockets, processes or servers."""

    file: str
    test: str
    real: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the page, as its cells say. `how` and `tests` are made of the marks."""

    name: str
    fault: str
    survived: str
    measured: str
    how: str = ""
    tests: str = ""

    def __str__(self) -> str:
        return f"| {self.name} | {self.fault} | {self.survived} | {self.measured} | {self.how} | {self.tests} |"


@dataclass(slots=True)
class Marks:
    """The tests by row, and the marks that name no row or stand where nobody counts them."""

    tests: dict[str, list[Marked]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def collect(folder: Path = TESTS, *, mark: str = "fault", known: tuple[str, ...] = ROWS) -> Marks:
    """Read the marks of every test below `folder`, without importing one. `known`: the rows that a `mark` can name."""
    marks = Marks()
    for path in sorted(folder.rglob("test_*.py")):
        if "node_modules" in path.parts:
            continue
        name, tree = path.relative_to(folder).as_posix(), ast.parse(path.read_text("utf-8"))
        counted: set[int] = set()
        of_module = [found for one in tree.body if _is_pytestmark(one) for found in _marks(one)]
        for test in tree.body:
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
                own = [*of_module, *(found for one in test.decorator_list for found in _marks(one))]
                real = name.split("/")[0] in REAL or any(found.attr in REAL_MARKS for found, _ in own)
                counted |= {id(found) for found, _ in own}
                for found, rows in own:
                    if found.attr == mark:
                        _add(marks, rows, Marked(name, test.name, real), known)
        marks.wrong += [f"{name}:{one.lineno}: nobody counts a mark here" for one in _uncounted(tree, mark, counted)]
    return marks


def _add(marks: Marks, rows: list[object], test: Marked, known: tuple[str, ...]) -> None:
    marks.wrong += [f"{test.file}: {test.test}: there is no row {row!r}" for row in rows if row not in known]
    marks.wrong += [] if rows else [f"{test.file}: {test.test}: a mark without a row"]
    for row in rows:
        if row in known and test not in marks.tests.setdefault(str(row), []):
            marks.tests[str(row)].append(test)


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and [ast.unparse(to) for to in node.targets] == ["pytestmark"]


def _marks(node: ast.AST) -> Iterator[tuple[ast.Attribute, list[object]]]:
    """Yield each `pytest.mark.NAME` below `node`, with the arguments of its call where it is called."""
    calls = {id(one.func): one for one in ast.walk(node) if isinstance(one, ast.Call)}
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "pytest.mark":
            call = calls.get(id(one))
            words = call.args if call is not None else []
            yield one, [word.value if isinstance(word, ast.Constant) else ast.unparse(word) for word in words]


def _uncounted(tree: ast.AST, name: str, counted: set[int]) -> Iterable[ast.Attribute]:
    return [mark for mark, _ in _marks(tree) if mark.attr == name and id(mark) not in counted]


def read(text: str) -> dict[str, Row]:
    """Return the rows of the page. Raises ValueError where one has too many cells, or too few."""
    rows = {}
    for found in ROW.finditer(text):
        cells = [cell.strip() for cell in found[0].strip("| ").split(" | ")]
        if len(cells) not in (4, 6) and not (len(cells) == 5 and cells[4] == "no"):
            raise ValueError(f"{found[1]}: {len(cells)} cells")
        if found[1] in rows:
            raise ValueError(f"{found[1]}: twice")
        rows[found[1]] = Row(*cells)
    return rows


def merged(text: str) -> str:
    """Return the page without the marks of a conflict: of a row that came twice the one whose figure is there.

    Two branches that mark a test each touch the same line, and what differs there is mostly made of the marks.
    """
    best: dict[str, str] = {}
    for found in ROW.finditer(text):
        kept = best.setdefault(found[1], found[0])
        if UNMEASURED in kept and UNMEASURED not in found[0]:
            best[found[1]] = found[0]
    lines: list[str] = []
    for line in text.splitlines():
        row = ROW.match(line)
        one = line if row is None else best.pop(row[1], None)
        twice = COUNT.match(line) is not None and any(COUNT.match(before) for before in lines)
        if one is not None and not twice and not line.startswith(("<<<<<<< ", "=======", ">>>>>>> ", "||||||| ")):
            lines.append(one)
    return "\n".join(lines) + "\n"


COUNTED = "Of {} faults, {} are provoked for real, {} on fakes in virtual time, {} not at all."


def filled(text: str, tests: Mapping[str, list[Marked]], counted: str = COUNTED) -> str:
    """Return the page with the cells that are made of the marks, and how many there are of each kind."""
    rows = {name: _filled(row, tests.get(name, [])) for name, row in read(text).items()}
    hows = [row.how for row in rows.values()]
    real, fakes, none = (hows.count(how) for how in ("real", "fakes", "no"))
    return COUNT.sub(counted.format(len(rows), real, fakes, none), ROW.sub(lambda found: str(rows[found[1]]), text))


def _filled(row: Row, tests: list[Marked]) -> Row:
    how = "no" if not tests else "real" if any(test.real for test in tests) else "fakes"
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.file, []).append(f"`{test.test}`")
    cells = [f"[{file.removesuffix('.py')}](../../tests/{file}): {', '.join(names)}" for file, names in files.items()]
    return replace(row, how=how, tests="<br>".join(cells))


if __name__ == "__main__":
    PAGE.write_text(filled(merged(PAGE.read_text("utf-8")), collect().tests), "utf-8")
