"""A verb in a terminal of its own, as an operator sees it, with its output as it comes."""

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.site import REFRESHER, Site

LINE_S = 30
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A running verb. `text` is what it has shown so far, without colours."""

    def __init__(self, site: Site, words: tuple[str, ...]) -> None:
        self._ours, theirs = pty.openpty()
        self._raw = b""
        command = [*REFRESHER, *words, "--config", str(site.config)]
        self.process = subprocess.Popen(
            command,
            cwd=site.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that Ctrl-C is a signal
        )
        os.close(theirs)

    @property
    def text(self) -> str:
        return _STYLE.sub("", self._raw.decode()).replace("\r\n", "\n")

    def wait_for(self, pattern: str, *, within: float = LINE_S) -> re.Match[str]:
        """Return the first place in the output that fits; fail when none comes in time."""
        ends = time.monotonic() + within
        while (found := re.search(pattern, self.text)) is None:
            assert self._read(ends), f"{pattern!r} is not to be seen:\n{self.text}"
        return found

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def end(self, *, within: float = LINE_S) -> int:
        """Read all to the end and return the exit code."""
        ends = time.monotonic() + within
        while self._read(ends):
            pass
        return self.process.wait(timeout=max(ends - time.monotonic(), 0.1))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, ends: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(ends - time.monotonic(), 0))
        if not ready:
            return False
        try:
            part = os.read(self._ours, 65536)
        except OSError:  # EIO: the other side is closed
            return False
        self._raw += part
        return bool(part)


@contextmanager
def on_terminal(site: Site, *words: str) -> Iterator[Terminal]:
    """Start a verb in a terminal and see to it that it ends; what it showed is searched for secrets."""
    terminal = Terminal(site, words)
    try:
        yield terminal
    finally:
        terminal.close()
        site.outputs.append(terminal.text)
