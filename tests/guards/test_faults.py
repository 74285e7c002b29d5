"""docs/explanation/faults.md names every test that provokes a fault, and no other; each row has a test or a reason."""

import re

import pytest

from tests.guards import faults

TEXT = faults.PAGE.read_text("utf-8")
MARKS = faults.collect()
COMMAND = "bring the page up to date: python -m tests.guards.faults"


def names(text: str) -> set[tuple[str, str]]:
    """Return the row and the name of each test of the page."""
    return {(row, test) for row, cells in faults.read(text).items() for test in re.findall(r"`(\w+)`", cells.tests)}


def test_every_mark_names_a_row_and_stands_where_it_counts():
    assert MARKS.wrong == []


def test_the_page_has_every_row_once_and_in_order():
    assert tuple(faults.read(TEXT)) == faults.ROWS


def test_the_page_names_the_tests_that_are_marked_and_no_other():
    marked = {(row, test.test) for row, tests in MARKS.tests.items() for test in tests}
    found = names(TEXT)
    assert sorted(found - marked) == [], f"no such test, or it lacks its mark; {COMMAND}"
    assert sorted(marked - found) == [], f"these are marked and not on the page; {COMMAND}"
    assert faults.filled(TEXT, MARKS.tests) == TEXT, COMMAND


@pytest.mark.parametrize("name", faults.ROWS)
def test_a_row_says_what_was_measured_or_why_nothing_was(name):
    row = faults.read(TEXT)[name]
    assert all((row.fault, row.survived, row.measured))


MODULE = """
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.fault("F1")]

@pytest.mark.fault("F2", "F3")
async def test_one(): ...

@pytest.mark.parametrize("a", [1, pytest.param(2, marks=pytest.mark.fault("F4"))])
def test_two(a): ...
"""
PAGE = "Of 0 faults, x.\n\n| row | fault |\n|---|---|\n| F1 | a | b | c |  |  |\n| F9 | a | b | because | no |  |\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rotation").mkdir()
    (tmp_path / "rotation" / "test_it.py").write_text(MODULE)
    return tmp_path


def test_marks_of_modules_functions_and_parameters_are_collected(folder):
    marks = faults.collect(folder)
    found = {row: [test.test for test in tests] for row, tests in marks.tests.items()}
    assert found == {"F1": ["test_one", "test_two"], "F2": ["test_one"], "F3": ["test_one"], "F4": ["test_two"]}
    assert marks.wrong == []
    assert all(test.real for tests in marks.tests.values() for test in tests), "e2e is of the whole module"


@pytest.mark.parametrize(
    "wrong",
    [
        '@pytest.mark.fault("F63")\ndef test_it(): ...',
        "@pytest.mark.fault()\ndef test_it(): ...",
        "@pytest.mark.fault\ndef test_it(): ...",
        "@pytest.mark.fault(ROW)\ndef test_it(): ...",
        '@pytest.mark.fault("F1")\ndef helper(): ...',
        'MARK = pytest.mark.fault("F1")\n',
    ],
)
def test_a_mark_that_says_nothing_is_caught(folder, wrong):
    (folder / "test_wrong.py").write_text(wrong)
    assert len(faults.collect(folder).wrong) == 1


def test_the_command_fills_in_what_the_marks_say(folder):
    page = faults.filled(PAGE, faults.collect(folder).tests)
    assert page.startswith("Of 2 faults, 1 are provoked for real, 0 on fakes in virtual time, 1 not at all.\n")
    (row, other) = page.splitlines()[-2:]
    assert (
        row == "| F1 | a | b | c | real | [rotation/test_it](../../tests/rotation/test_it.py): `test_one`, `test_two` |"
    )
    assert other == "| F9 | a | b | because | no |  |"
    assert faults.filled(page, faults.collect(folder).tests) == page
    assert names(page) == {("F1", "test_one"), ("F1", "test_two")}


def test_the_command_clears_a_conflict():
    one, other = "| F1 | a | b | not yet measured | no |  |", "| F1 | a | b | 3 s | real | x: `test_it` |"
    conflict = f"<<<<<<< HEAD\n{one}\n| F2 | a | b | 2 s | no |  |\n=======\n{other}\n>>>>>>> mine\n"
    assert faults.merged(f"# x\n{conflict}end\n") == f"# x\n{other}\n| F2 | a | b | 2 s | no |  |\nend\n"


def test_a_row_that_is_torn_is_told():
    with pytest.raises(ValueError, match="F1: 7 cells"):
        faults.read("| F1 | a | b | c | real | x | y |")
    with pytest.raises(ValueError, match="F1: twice"):
        faults.read("| F1 | a | b | c |\n| F1 | a | b | c |")
