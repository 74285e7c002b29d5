"""What the service manager is told: sd_notify(3), in the words of its protocol.

Rules of this module:
- It never raises, and holds nobody up: a heartbeat or a status that can't be sent at once is lost, the next one is not.
  What tells of a new state may take a moment, for a manager that is busy.
- Without $NOTIFY_SOCKET there is no manager, and everything here does nothing.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from refresher.ports import Clock

MOMENT: Final = 1.0  # seconds that a manager may take to read of a new state
_MICROSECOND: Final = timedelta(microseconds=1)


class Manager:
    """The service manager that started this process, as `environ` names it.

    `watchdog`: without a heartbeat for so long it ends us; None: it does not ask for one.
    """

    def __init__(self, clock: Clock, environ: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environ)

    @property
    def is_there(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """Tell that the service serves: at its start, and after a reload."""
        self._send("READY=1", _status(status), within=MOMENT)

    def reloading(self) -> None:
        """Tell that a reload has begun, and when: `ready` ends it."""
        began = int(self._clock.monotonic() * 1_000_000)
        self._send("RELOADING=1", f"MONOTONIC_USEC={began}", "STATUS=reads jobs.toml again", within=MOMENT)

    def stopping(self) -> None:
        """Tell that the service begins to end."""
        self._send("STOPPING=1", "STATUS=finishes what is under way", within=MOMENT)

    def status(self, text: str) -> None:
        """Show `text` in `systemctl status`."""
        self._send(_status(text))

    def alive(self) -> None:
        """Send a heartbeat."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def extend(self, span: timedelta) -> None:
        """Ask that a start or a stop may take `span` from now on; ask again before that is over."""
        self._send(f"EXTEND_TIMEOUT_USEC={span // _MICROSECOND}")

    def _send(self, *lines: str, within: float = 0.0) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(within)  # 0: not for a moment
            out.sendto("\n".join(lines).encode(), self._address)


def _address(path: str) -> str:
    """Return the socket's address: a path, or a name in the abstract name space; any other is not for us."""
    return "\0" + path[1:] if path.startswith("@") else path if path.startswith("/") else ""


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())


def _watchdog(environ: Mapping[str, str]) -> timedelta | None:
    """Return the span of the watchdog, where it is meant for this process and no other (sd_watchdog_enabled(3))."""
    span, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (span.isdecimal() and int(span)) or pid not in ("", str(os.getpid())):
        return None
    return int(span) * _MICROSECOND
