"""A service manager's end of sd_notify: a real socket, and what came through it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class NotifySocket:
    """Bound to `path`, or to an abstract name: `environ` is what a service finds in its environment."""

    def __init__(self, path: Path, *, abstract: bool = False, watchdog: float | None = None, pid: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        self._socket.bind(f"\0{path}" if abstract else str(path))
        self.environ: Mapping[str, str] = {"NOTIFY_SOCKET": f"@{path}" if abstract else str(path)}
        if watchdog is not None:
            self.environ |= {"WATCHDOG_USEC": str(int(watchdog * 1_000_000)), "WATCHDOG_PID": pid}

    def messages(self) -> list[dict[str, str]]:
        """Return what was said since the last call, one mapping for each datagram."""
        return list(self._messages())

    def _messages(self) -> Iterator[dict[str, str]]:
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return
            yield dict(line.split("=", 1) for line in text.splitlines())

    def said(self) -> list[str]:
        """Return the variables that were set since the last call, in order, without what is in them."""
        return [name for message in self.messages() for name in message]

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening(path: Path, **how: object) -> Iterator[NotifySocket]:
    one = NotifySocket(path, **how)
    try:
        yield one
    finally:
        one.close()
