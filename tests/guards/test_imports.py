"""The import contracts hold, and each of them catches what it is there to catch."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

# One import that breaks each contract: the first words of its name, the module, the line.
BROKEN = {
    "Imports point one way": ("core/queue.py", "import refresher.daemon"),
    "The inner parts": ("sinks/log.py", "import refresher.charge"),
    "What decides is pure": ("providers/reply.py", "import logging"),
    "Only http.py knows httpx": ("vault/client.py", "import httpx"),
    "Only http.py and its connector": ("daemon.py", "import aiohttp"),
    "Only the page knows jinja2": ("web/front.py", "import jinja2"),
    "Only the metrics know": ("web/front.py", "import prometheus_client"),
    "Only vault/ knows hvac": ("demo/stage.py", "import hvac.exceptions"),
    "Only signing.py knows": ("providers/reply.py", "import joserfc"),
    "Only signing.py, the": ("state/ledger.py", "import cryptography"),
    "Only scheduler/ knows pgqueuer": ("turns.py", "import asyncpg"),
    "Only scheduler/ knows APScheduler": ("daemon.py", "from apscheduler.schedulers.asyncio import AsyncIOScheduler"),
    "Only config/": ("core/settings.py", "import pydantic"),
    "Only the log": ("roster.py", "import structlog"),
    "Only what people": ("daemon.py", "from rich.table import Table"),
    "Only the clock": ("rotation.py", "from time import time"),
    "Only the demo starts": ("host/process.py", "import subprocess"),
}
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> tuple[int, str]:
    """Run import-linter on the package that lies in `folder`."""
    ran = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "refresher", tmp_path / "refresher", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_contracts_are_kept() -> None:
    code, said = lint(ROOT)
    assert code == 0, said


def test_every_contract_catches_what_it_is_for(copy: Path) -> None:
    names = {words: [one["name"] for one in CONTRACTS if one["name"].startswith(words)] for words in BROKEN}
    assert sorted(name for found in names.values() for name in found) == sorted(one["name"] for one in CONTRACTS)
    for module, line in BROKEN.values():
        with (copy / "refresher" / module).open("a") as source:
            source.write(f"\n{line}\n")
    code, said = lint(copy)
    assert code == 1, said
    verdicts = [line for line in said.splitlines() if line.endswith((" KEPT", " BROKEN"))]
    assert sorted(verdicts) == sorted(f"{one['name']} BROKEN" for one in CONTRACTS), said


def test_a_module_without_a_layer_is_caught(copy: Path) -> None:
    (copy / "refresher/newcomer.py").touch()
    code, said = lint(copy)
    assert code == 1
    assert "refresher.newcomer" in said
