"""docs/explanation/vault-answers.md names every test of an answer of Vault, and no other; each row has one."""

import pytest

from tests.guards import answers, faults

TEXT = answers.PAGE.read_text("utf-8")
MARKS = answers.collect()


def test_every_mark_names_a_row_and_stands_where_it_counts():
    assert MARKS.wrong == []


def test_the_page_has_every_row_once_and_in_order():
    assert tuple(faults.read(TEXT)) == answers.ROWS


def test_the_page_names_the_tests_that_are_marked_and_no_other():
    assert answers.filled(TEXT, MARKS) == TEXT, "bring the page up to date: python -m tests.guards.answers"


@pytest.mark.parametrize("name", answers.ROWS)
def test_every_answer_has_a_test_and_says_what_refresher_does(name):
    row = faults.read(TEXT)[name]
    assert all((row.fault, row.survived, row.measured))
    assert MARKS.tests.get(name), f"no test is marked with {name}"


def test_a_mark_of_another_page_is_not_counted_here(tmp_path):
    (tmp_path / "test_it.py").write_text(
        '@pytest.mark.fault("F1")\n@pytest.mark.answer("V1", "V99")\ndef test_a(): ...\n'
    )
    marks = answers.collect(tmp_path)
    assert (list(marks.tests), len(marks.wrong)) == (["V1"], 1)
    assert list(faults.collect(tmp_path).tests) == ["F1"]


def test_a_row_that_loses_its_test_is_seen():
    without = faults.Marks(tests={row: tests for row, tests in MARKS.tests.items() if row != "V17"})
    assert answers.filled(TEXT, without) != TEXT
