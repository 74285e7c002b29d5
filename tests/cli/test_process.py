"""A verb that touches secrets hardens its process first, and says what that could not do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refresher.cli import _process
from refresher.config import load
from refresher.core.events import Event
from refresher.host import process

VERBS = {
    "run": ["run"],
    "once": ["once"],
    "plan": ["plan"],
    "status": ["status"],
    "watch": ["watch"],
    "check --live": ["check", "--live"],
    "authorize": ["authorize", "crm", "--import", "env:X"],
    "policy --apply": ["policy", "--apply"],
    "bootstrap": ["bootstrap"],
    "demo": ["demo"],
    "history": ["history"],
    "cluster": ["cluster", "verify"],
}
SPY = """
import os, sys
from refresher.host import process

def harden():
    print("hardened, and of the wire there is", sorted({"refresher.http", "httpx", "aiohttp"} & set(sys.modules)))
    sys.stdout.flush()
    os._exit(0)

process.harden = harden
from refresher.cli import main
main(sys.argv[1:])
"""
JOBS = """
[vault]
address = "http://127.0.0.1:1"
auth = { method = "token", token = "env:TOKEN" }
[jobs.crm]
provider = "oauth2"
token_url = "http://127.0.0.1:1/token"
grant = "refresh_token"
client_auth = "none"
client_id = "acme"
refresh_token = "env:X"
path = "tokens/crm"
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.toml"
    file.touch(mode=0o600)
    file.write_text(JOBS)
    return file


@pytest.mark.parametrize("words", VERBS.values(), ids=VERBS)
@pytest.mark.leak("L13", "L14", "L28")
def test_the_process_is_hardened_before_the_wire_is_there(jobs: Path, words: list[str]) -> None:
    command = [sys.executable, "-c", SPY, *words]
    environ = os.environ | {"REFRESHER_CONFIG": str(jobs)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "hardened, and of the wire there is []\n", done.stderr


def test_what_could_not_be_hardened_is_told(jobs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    monkeypatch.setattr(process, "harden", lambda: ("the process stays dumpable",))
    monkeypatch.setattr(_process.log, "configure", lambda _settings: None)
    monkeypatch.setattr(_process.LogSink, "tell", lambda _self, event: told.append(event))
    _process.set_up(load(jobs), quiet=True)
    assert [(one.level, one.fields["warning"]) for one in told] == [("warning", "the process stays dumpable")]
