"""Prometheus' own tool takes the rules, sees each of them speak, and finds nothing wrong with the metrics."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guards.metrics import text

pytestmark = pytest.mark.host

FOLDER = Path(__file__).parents[2] / "monitoring"


@pytest.fixture
def promtool():
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("Debian's package prometheus is not installed")

    def run(*words: str, given: str = "", within: Path = FOLDER) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([path, *words], cwd=within, input=given, capture_output=True, text=True, check=False)

    return run


def test_the_rules_are_taken(promtool):
    done = promtool("check", "rules", "refresher.rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_speaks_where_it_should_and_nowhere_else(promtool):
    done = promtool("test", "rules", "refresher.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_broken_is_found(promtool, tmp_path):
    for name in ("refresher.rules.yml", "refresher.rules.test.yml"):
        broken = (FOLDER / name).read_text("utf-8").replace("refresher_vault_up == 0", "refresher_vault_up == 1")
        (tmp_path / name).write_text(broken)
    done = promtool("test", "rules", "refresher.rules.test.yml", within=tmp_path)
    assert done.returncode == 1
    assert "RefresherVaultAway" in done.stdout + done.stderr


def test_the_metrics_are_in_order(promtool):
    done = promtool("check", "metrics", given=text())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
