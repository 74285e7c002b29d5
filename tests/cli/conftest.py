"""Runs the command line in this process, or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from refresher.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch) -> Callable[..., Ran]:
    monkeypatch.setattr("refresher.host.process.harden", tuple)  # this process has other tests to do

    def run(*arguments: str | Path) -> Ran:
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def process(tmp_path) -> Callable[..., Ran]:
    """Run a whole interpreter, in an empty folder, with nothing of this one's environment."""

    def run(*arguments: str | Path, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def example(tmp_path) -> Path:
    """Return a copy of the shipped jobs.toml with the mode that it needs, whatever the umask of the clone was."""
    file = tmp_path / "jobs.toml"
    file.write_bytes((Path(__file__).parents[2] / "jobs.toml").read_bytes())
    file.chmod(0o644)
    return file
