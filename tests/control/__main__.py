"""Time `status` and `plan` against a daemon of 1,000 jobs, and without one: python -m tests.control [JOBS]."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from refresher.demo.openbao import start
from tests.e2e.crowd import Crowd, enrol
from tests.e2e.site import REFRESHER, Site

TIMES = 5
VERBS = (("status",), ("status", "--json"), ("plan",), ("plan", "--json"))


def timed(deed: Callable[[], object]) -> float:
    spans = []
    for _ in range(TIMES):
        began = time.perf_counter()
        deed()
        spans.append(time.perf_counter() - began)
    return median(spans)


def main(jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder, start(Path(folder)) as bao, Crowd().serving() as crowd:
        home = Path(folder) / "site"
        home.mkdir()
        bao.mount("measured")
        site = Site(home, bao, "measured")
        site.tables["log"] = {"level": "info"}
        enrol(site, crowd, [f"job-{number:04}" for number in range(jobs)])
        with site.daemon() as daemon:
            for _ in range(jobs):
                daemon.wait_for("rotated", within=300)
            told(site, "the daemon")
            daemon.stop()
        told(site, "Vault and the ledger")
        bare = timed(lambda: subprocess.run([*REFRESHER, "--version"], check=True, capture_output=True))
        print(f"{'--version, which imports nothing':44} {bare:6.2f} s")


def told(site: Site, source: str) -> None:
    for words in VERBS:
        print(f"{' '.join(words):16} from {source:22} {timed(lambda words=words: site.run(*words)):6.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
