"""`peers`: the daemon beside `bao agent`, the nearest program that keeps something fresh and that runs here.

The agent reads secrets and renders each into a file; the daemon asks for tokens and writes each into Vault. They do
not do the same: the agent has one request for each change, the daemon two, and a decision. What both cost is told.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.processes import Daemon, daemon
from bench.report import Report
from bench.servers import House, house, private
from refresher.demo import openbao
from refresher.demo.openbao import OpenBao

JOBS: Final = 50
EVERY: Final = 5  # seconds between two looks of the agent at a secret
LIFETIME: Final = 12  # seconds: a job of the daemon's is due again after 8 to 10


def run(*, quick: bool) -> Report:
    """Measure."""
    report = Report("peers", quick=quick)
    jobs, seconds, every = (3, 2.0, 1) if quick else (JOBS, 40.0, EVERY)
    with house(lifetime=LIFETIME) as (stand, bao):
        with daemon(stand.config(jobs)) as running:
            running.wait(jobs)
            cpu, done, began = running.cpu, len(running.rotated), time.monotonic()
            time.sleep(seconds)
            running.poll()
            rotations, spent = len(running.rotated) - done, running.cpu - cpu
            _tell(report, "refresher", "refresher: rotations", rotations, spent, running.rss, seconds)
        with _agent(stand, bao, jobs, every) as (agent, renders):
            while renders() < jobs:
                time.sleep(0.1)
            cpu, done, began = agent.cpu, renders(), time.monotonic()
            ends, number = began + seconds, 0
            while time.monotonic() < ends:
                number += 1
                for job in range(jobs):  # each look of the agent finds something else
                    data = {"data": {"access_token": f"{'t' * 900}{number}", "expires_at": str(number)}}
                    bao.api("POST", f"secret/data/peers/{job}", data)
                again = time.monotonic() + every
                while time.monotonic() < min(again, ends):
                    time.sleep(0.2)
                    renders()
            seen, spent = renders() - done, agent.cpu - cpu
            _tell(report, "agent", "bao agent: files rendered", seen, spent, agent.rss, seconds)
    report.add(
        "each_to_agent",
        "processor time of a rotation against that of a file that the agent renders",
        "x",
        [report.figures["refresher_ms"].median / max(report.figures["agent_ms"].median, 1e-6)],
    )
    report.note(
        "Not measured: oauth-token-refresher (LoneExile) and vault-oauth2-credentials-agent (edspc). Both are Go"
        " programs that no registry of ready programs has; there is no Go tool chain here to build them with."
    )
    report.note(f"{jobs} secrets. The agent looks at each every {every} s and renders what has changed.")
    return report


def _tell(report: Report, key: str, what: str, count: int, cpu: float, rss: int, seconds: float) -> None:  # noqa: PLR0913, PLR0917  # the figures
    report.add(f"{key}_count", what, "", [count])
    report.add(f"{key}_ms", f"{what}, processor time each", "ms", [cpu / max(count, 1) * 1000])
    report.add(f"{key}_share", f"{what}, share of one processor", "%", [cpu / seconds * 100])
    report.add(f"{key}_rss", f"{what}, resident memory", "MiB", [rss / 2**20])


@contextmanager
def _agent(stand: House, bao: OpenBao, jobs: int, every: int) -> Iterator[tuple[Daemon, "_Renders"]]:
    where = stand.folder / "rendered"
    where.mkdir()
    for job in range(jobs):
        bao.api("POST", f"secret/data/peers/{job}", {"data": {"access_token": "none", "expires_at": "0"}})
    text = '{{ with secret "secret/data/peers/%d" }}{{ .Data.data.access_token }}{{ end }}'
    templates = [
        {
            "contents": text % job,
            "destination": str(where / str(job)),
            "left_delimiter": "{{",
            "right_delimiter": "}}",
        }
        for job in range(jobs)
    ]
    token = private(stand.folder / "agent.token", bao.root_token.reveal())
    config = {
        "vault": {"address": stand.address},
        "auto_auth": {"method": [{"type": "token_file", "config": {"token_file_path": str(token)}}]},
        "template_config": {"static_secret_render_interval": f"{every}s"},
        "template": templates,
    }
    file = private(stand.folder / "agent.json", json.dumps(config))
    log = stand.folder / "agent.log"
    with (
        log.open("wb") as out,
        subprocess.Popen([openbao.find_binary(), "agent", f"-config={file}"], stdout=out, stderr=out) as process,
    ):
        try:
            yield Daemon(process, log), _Renders(where, jobs)
        finally:
            process.terminate()
            process.wait(20)


class _Renders:
    """How often a file was rendered, by the files' times of change: ask more often than they change."""

    def __init__(self, where: Path, jobs: int) -> None:
        self._where = where
        self._jobs = jobs
        self._seen: set[tuple[int, int]] = set()

    def __call__(self) -> int:
        """Count."""
        for job in range(self._jobs):
            with suppress(FileNotFoundError):  # not rendered yet
                self._seen.add((job, (self._where / str(job)).stat().st_mtime_ns))
        return len(self._seen)
