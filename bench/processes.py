"""Programs from outside: what they cost by the kernel's account, and a running daemon watched through its log."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

REFRESHER: Final = (sys.executable, "-m", "refresher")
CPU_OF: Final = 2  # CPUCLOCK_SCHED, as clock_getcpuclockid(3) has it: nanoseconds, where /proc counts hundredths
PAGE: Final = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run: processor time with that of all it started, and time on the wall, in seconds."""

    cpu: float
    wall: float
    code: int


def cost(command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Cost:
    """Run `command` to its end; its output is thrown away."""
    began = time.perf_counter()
    silent = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent, env=env, cwd=cwd)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - began, process.returncode)


class Daemon:
    """A running `refresher run`, whose log goes to a file. Make it with `daemon`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log
        self._read = 0
        self.began_at = time.time()
        self.rotated: list[float] = []  # when, in Unix seconds
        self.other: list[bytes] = []

    def poll(self) -> None:
        """Read what was logged since."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            if b'"event":"rotated"' in line:
                self.rotated.append(_when(line))
            else:
                self.other.append(line)

    def wait(self, rotations: int, *, within: float = 600) -> None:
        """Wait until so many rotations were logged."""
        self._until(lambda: len(self.rotated) >= rotations, f"{rotations} rotations", within)

    def wait_for(self, event: str, *, within: float = 600) -> None:
        """Wait until a line of `event` was logged."""
        mark = f'"event":"{event}"'.encode()
        self._until(lambda: any(mark in line for line in self.other), event, within)

    def _until(self, enough: Callable[[], bool], what: str, within: float) -> None:
        ends = time.monotonic() + within
        while not enough():
            if self._process.poll() is not None or time.monotonic() > ends:
                last = b"\n".join(self.other[-5:]).decode()
                raise RuntimeError(f"no {what} within {within:g} s; {len(self.rotated)} rotations; the log:\n{last}")
            time.sleep(0.02)
            self.poll()

    @property
    def cpu(self) -> float:
        """Processor time so far, in seconds."""
        return time.clock_gettime(~self._process.pid << 3 | CPU_OF)

    @property
    def ready(self) -> float:
        """Seconds so far in which its loop ran, or could have, had a processor been free."""
        ran, waited, _ = Path(f"/proc/{self._process.pid}/schedstat").read_text().split()
        return (int(ran) + int(waited)) / 1e9

    @property
    def rss(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE

    @property
    def descriptors(self) -> int:
        """Open files."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    @property
    def threads(self) -> int:
        """Threads."""
        return len(list(Path(f"/proc/{self._process.pid}/task").iterdir()))


@contextmanager
def daemon(config: Path, *, name: str = "daemon") -> Iterator[Daemon]:
    """Run the daemon while the context lasts."""
    log = config.with_name(f"{name}.log")
    with log.open("wb") as file, subprocess.Popen([*REFRESHER, "run", "--config", str(config)], stderr=file) as process:
        try:
            yield Daemon(process, log)
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()


def _when(line: bytes) -> float:
    found = re.search(rb'"timestamp":"([^"]+)"', line)
    assert found is not None
    return datetime.fromisoformat(found[1].decode()).timestamp()
