"""Each benchmark runs, from its command to its JSON; what it finds in seconds says nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import NAMES

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(400)  # thirteen seconds of processor time, on a machine that has others to serve
def test_every_benchmark_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", *NAMES, "--quick", "--into", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=390, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path.stem for path in tmp_path.iterdir()} == set(NAMES)
    for path in tmp_path.iterdir():
        found = json.loads(path.read_text())
        assert found["quick"], path.stem
        assert found["figures"], path.stem
        assert all(one["min"] <= one["median"] <= one["max"] for one in found["figures"].values()), path.stem
