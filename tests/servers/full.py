"""OpenBao servers whose disk a test can fill: the one for their data, or the log that they must write to answer."""

import resource
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers.cluster import Node

SPARSE = 2**30  # bytes that the log begins with: a limit beyond them is one for the log alone, not for the data
DISK = "40m"  # bolt's two files begin with 16 MB each


class Audited(Node):
    """A node that logs each request before it serves it, and each answer before it gives it."""

    def __init__(self, folder: Path, *, multiplier: int = 5) -> None:
        super().__init__(folder, multiplier=multiplier)
        self._begin_log()

    def _begin_log(self) -> None:
        with self.audit_log.open("ab") as log:
            log.truncate(max(log.tell(), SPARSE))

    def _config(self) -> dict[str, Any]:
        device = {"description": "all", "options": {"file_path": str(self.audit_log)}}
        return super()._config() | {"audit": [{"file": {"all": device}}]}

    def allow(self, more: int | None) -> None:
        """Let the log grow by so many bytes, or without an end."""
        most = self.audit_log.stat().st_size + more if more is not None else resource.RLIM_INFINITY
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def lines(self) -> list[bytes]:
        with self.audit_log.open("rb") as log:
            log.seek(SPARSE)
            return log.readlines()

    def unanswered(self) -> list[str]:
        """Return the path of each request that was served and could not be answered."""
        said = (self._folder / "openbao.log").read_text().split("failed to audit response: request_path=")[1:]
        return [one.split()[0] for one in said]


class OnSmallDisk(Node):
    """A node whose data lie on a disk of its own, which nobody else sees and which ends with the context."""

    def __init__(self, folder: Path, *, multiplier: int = 5) -> None:
        super().__init__(folder, multiplier=multiplier)
        (folder / "data").mkdir()
        mount = f'mount -t tmpfs -o size={DISK} tmpfs "{folder}/data" && echo ready && exec cat'
        command = ["unshare", "--mount", "sh", "-c", mount]
        self._disk = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # ends as its input does
        assert self._disk.stdout.readline() == b"ready\n"
        self.filler = Path(f"/proc/{self._disk.pid}/root{folder}/data/filler")
        script = folder / "bao"
        script.write_text(f'#!/bin/sh\nexec nsenter --mount=/proc/{self._disk.pid}/ns/mnt "{self._binary}" "$@"\n')
        script.chmod(0o700)
        self._binary = str(script)

    @property
    def has_ended(self) -> bool:
        return self.is_running and self._process.poll() is not None

    def close(self) -> None:
        super().close()
        self._disk.communicate()

    def fill(self) -> None:
        """Write until not one byte more is taken."""
        with self.filler.open("wb", buffering=0) as filler:
            for size in (2**20, 4096, 1):
                with suppress(OSError):
                    while filler.write(bytes(size)):
                        pass


class Confined(Audited, OnSmallDisk):
    """Both, as one of a cluster: the log's path is a setting that all nodes must have alike, so that they share it."""

    def __init__(self, folder: Path, *, multiplier: int = 5) -> None:
        super().__init__(folder, multiplier=multiplier)
        self.audit_log = folder.parent / "audit.log"
        self._begin_log()
