"""Debian's Prometheus on loopback, with the rules that are shipped and less patience."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.web.stage import free_port

RULES = Path(__file__).parents[2] / "monitoring" / "refresher.rules.yml"
CONFIG = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
scrape_configs:
  - job_name: refresher
    static_configs: [{{ targets: ["{target}"] }}]
"""


class Prometheus:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False)

    def firing(self) -> set[tuple[str, str]]:
        """Return the alerts that fire, with the job's name."""
        alerts = self._http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {
            (one["labels"]["alertname"], one["labels"].get("name", "")) for one in alerts if one["state"] == "firing"
        }

    def wait_for(self, *wanted: tuple[str, str], within: float = 60) -> None:
        ends = time.monotonic() + within
        while not set(wanted) <= (now := self.firing()):
            assert time.monotonic() < ends, f"{set(wanted) - now} do not fire, but {now}"
            time.sleep(0.2)  # Prometheus tells of no change

    def wait_for_none(self, within: float = 60) -> None:
        ends = time.monotonic() + within
        while now := self.firing():
            assert time.monotonic() < ends, f"{now} still fire"
            time.sleep(0.2)  # as above

    def is_up(self) -> bool:
        try:
            answer = self._http.get("/api/v1/query", params={"query": 'up{job="refresher"}'})
        except httpx.TransportError:
            return False
        if answer.status_code != 200:  # it listens before it can answer
            return False
        found = answer.json()["data"]["result"]
        return any(one["value"][1] == "1" for one in found)

    def close(self) -> None:
        self._http.close()


def impatient(rules: str) -> str:
    """Return `rules` with less patience: each waits a second, looks back five, and what may last minutes, seconds."""
    shorter = re.sub(r"\[\d+m\]", "[5s]", re.sub(r"for: \w+", "for: 1s", rules))
    for minutes, seconds in (("age_seconds > 120", "age_seconds > 30"), ("due_seconds > 300", "due_seconds > 5")):
        assert minutes in shorter
        shorter = shorter.replace(minutes, seconds)
    return shorter


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """Start one that scrapes `target` each second; each rule is as shipped but for the times of `impatient`."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Debian's package prometheus is not installed")
    folder.mkdir()
    rules, config = folder / "rules.yml", folder / "prometheus.yml"
    rules.write_text(impatient(RULES.read_text("utf-8")))
    config.write_text(CONFIG.format(rules=rules, target=target))
    port = free_port()
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, *words], stdout=log, stderr=log)
    one = Prometheus(f"http://127.0.0.1:{port}")
    try:
        ends = time.monotonic() + 30
        while not one.is_up():
            assert time.monotonic() < ends, (folder / "log").read_text()
            time.sleep(0.1)  # it says nothing when it is ready
        yield one
    finally:
        one.close()
        process.terminate()
        process.wait(10)
