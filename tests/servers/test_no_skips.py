"""A skip is said, and fails the run where CI=true."""

import os
import subprocess
import sys

import pytest

from tests.servers.node import FOLDER

SUITE = "import pytest\ndef test_done(): pass\ndef test_not_done(): pytest.skip('nothing to run it on')\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "test_it.py").write_text(SUITE)

    def run_pytest(ci: str, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pytest", f"--rootdir={tmp_path}", "-p", "tests.servers.no_skips", *words]
        ours = {"CI": ci, "PYTHONPATH": str(FOLDER.parent.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment = {**os.environ, **ours, "PYTEST_ADDOPTS": ""}
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run_pytest


@pytest.mark.parametrize(
    ("ci", "words", "code"),
    [("true", [], 1), ("true", ["-p", "xdist.plugin", "-n1"], 1), ("", [], 0)],
    ids=["in CI", "in CI by workers", "elsewhere"],
)
def test_a_skip_is_said_and_fails_the_run_in_ci(run, ci, words, code):
    done = run(ci, *words)
    assert done.returncode == code, done.stdout
    assert "1 skipped: " in done.stdout
    assert "test_it.py::test_not_done" in done.stdout


def test_what_is_not_asked_for_is_no_skip(run):
    done = run("true", "-k", "not not_done")
    assert done.returncode == 0, done.stdout
