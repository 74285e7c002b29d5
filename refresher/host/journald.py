"""The log in systemd's journal, with fields of its own: `journalctl REFRESHER_JOB=crm` finds what happened to one job.

Rules of this module:
- It is used where standard error is the journal: systemd says which stream that is, and a stream that was redirected
  since is another one.
- What the journal does not take goes to standard error, as a line with its level before it (sd-daemon(3)).
- An entry is bounded as a line is, far below what one datagram holds.

The protocol: https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from refresher.host import lines
from refresher.host.output import STALL, Output

SOCKET: Final = "/run/systemd/journal/socket"
PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog(3)
HEAD: Final = ("timestamp", "level")  # the journal has both of its own


class Entry(str):
    """A line for standard error, and in `datagram` the same for the journal."""

    __slots__ = ("datagram",)
    datagram: bytes


def is_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is what systemd connected to the journal (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def prefixed(render: Callable[[Mapping[str, lines.Plain]], str]) -> Callable[[Mapping[str, lines.Plain]], str]:
    """Return `render` with the level before the line, which the journal cuts off."""
    return lambda members: f"<{_priority(members)}>{render(members)}"


def entry(members: Mapping[str, lines.Plain]) -> Entry:
    """Return an event as an entry: its words as the message, each member as a field."""
    kept = lines.bounded(members)
    made = Entry(prefixed(lines.as_json)(kept))
    fields = {"MESSAGE": lines.as_message(kept), "PRIORITY": str(_priority(kept)), "SYSLOG_IDENTIFIER": "refresher"}
    for name, value in kept.items():
        if name not in HEAD and value is not None:
            fields[f"REFRESHER_{name.upper()}"] = value if isinstance(value, str) else json.dumps(value)
    made.datagram = b"".join(_field(name, value.encode()) for name, value in fields.items())
    return made


def _priority(members: Mapping[str, lines.Plain]) -> int:
    return PRIORITIES.get(str(members["level"]), PRIORITIES["error"])


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name.encode() + b"=" + value + b"\n"


class JournalOutput(Output):
    """Takes entries and sends them to the journal; to `stream` while it does not take them."""

    def __init__(self, stream: TextIO, lost: Callable[[int], str], address: str = SOCKET) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(STALL / 1000)
        super().__init__(stream, lost)

    def close(self) -> None:
        """Send what is waiting, for at most a second."""
        super().close()
        self._socket.close()

    def _write(self, lines: list[str]) -> int:
        for count, line in enumerate(lines):
            if not isinstance(line, Entry) or not self._sent(line.datagram):
                return count + super()._write(lines[count:])
        return len(lines)

    def _sent(self, datagram: bytes) -> bool:
        try:
            self._socket.sendto(datagram, self._address)
        except OSError:  # the journal is started again, or does not read: its stream is kept by systemd meanwhile
            return False
        return True
