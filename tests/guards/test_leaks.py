"""docs/explanation/leaks.md: each row has its tests and a guard, and each guard is missed when it is taken away."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards import leaks
from tests.guards.mutations import ELSEWHERE, MUTATIONS, SOURCE

TEXT = leaks.PAGE.read_text("utf-8")
MARKS = leaks.collect()
PACKAGE = SOURCE / "refresher"
COMMAND = "bring the page up to date: python -m tests.guards.leaks"
BANNED = {"raise_for_status", "rich_traceback", "dict_tracebacks", "ExceptionRenderer", "Client.from_env"}


def test_every_mark_names_a_row_and_stands_where_it_counts():
    assert MARKS.wrong == []


def test_the_page_has_every_row_once_and_in_order():
    assert tuple(row[1] for row in leaks.ROW.finditer(TEXT)) == leaks.ROWS


@pytest.mark.parametrize("row", leaks.ROWS)
def test_every_row_has_a_test(row):
    assert MARKS.tests.get(row)


def test_the_page_names_the_tests_that_are_marked_and_no_other():
    assert leaks.filled(TEXT, MARKS) == TEXT, COMMAND


@pytest.mark.parametrize("row", leaks.ROWS)
def test_every_guard_is_taken_away_or_it_is_said_why_not(row):
    assert (row in ELSEWHERE) != any(one.row == row for one in MUTATIONS)


@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: f"{one.row} {one.test.split('::')[-1]}")
def test_what_is_taken_away_is_there_and_its_test_is_of_that_row(one):
    assert (SOURCE / one.file).read_text("utf-8").count(one.old) == 1
    file, _, name = one.test.partition("::")
    marked = [test.test for test in MARKS.tests[one.row] if test.file == file]
    assert name in marked or f"def {name}(" in (SOURCE / "tests" / file).read_text("utf-8")


def named(tree: ast.AST) -> set[str]:
    """Return every name and attribute of a module."""
    return {one.id if isinstance(one, ast.Name) else one.attr for one in ast.walk(tree) if isinstance(one, NAMES)}


NAMES = (ast.Name, ast.Attribute)


@pytest.mark.leak("L4", "L8", "L9", "L16")
def test_what_shows_values_or_reads_the_home_folder_is_not_used():
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        imported = {
            one.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names
        }
        imported |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert named(tree) & BANNED == set(), file
        assert imported & {"requests", "urllib3", "netrc", "pickle"} == set(), file


@pytest.mark.leak("L19")
def test_hvac_s_client_is_never_made():
    for file in (PACKAGE / "vault").rglob("*.py"):
        imports = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
        assert not [one.name for node in imports for one in node.names if node.module == "hvac"], file


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the sources, to spoil."""
    folder = tmp_path_factory.mktemp("spoilt")
    for name in ("refresher", "packages", "tests", "docs"):
        ignored = shutil.ignore_patterns("node_modules", "__pycache__", "*.pyc")
        shutil.copytree(SOURCE / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "constraints.txt", "requirements.lock", "requirements-build.lock", "jobs.toml"):
        shutil.copy(SOURCE / name, folder / name)
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("one", MUTATIONS, ids=lambda one: f"{one.row} {one.test.split('::')[-1]}")
def test_a_guard_that_is_taken_away_is_missed(copy, one):
    file = copy / one.file
    whole = file.read_text("utf-8")
    try:
        file.write_text(whole.replace(one.old, one.new), "utf-8")
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{one.test}"]
        ran = subprocess.run(
            command, cwd=copy, env=dict(os.environ), capture_output=True, text=True, timeout=100, check=False
        )
    finally:
        file.write_text(whole, "utf-8")
    assert ran.returncode == 1, ran.stdout[-2000:] + ran.stderr[-1000:]
    assert re.search(r"^(FAILED|ERROR) ", ran.stdout, re.MULTILINE)
