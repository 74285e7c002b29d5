"""The journal's own protocol on a socket of its kind: what arrives there, and what becomes of a line that does not."""

import io
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from refresher.core.secret import Secret
from refresher.core.settings import LogSettings
from refresher.host import journald, lines, log
from refresher.host.journald import JournalOutput, entry
from tests.guards.canaries import Canaries
from tests.host.conftest import Logged

EVENT: dict[str, lines.Plain] = {
    "timestamp": "2026-11-21T10:00:00.000Z",
    "level": "warning",
    "event": "rotated",
    "job": "crm",
    "path": "secret/tokens/crm",
    "version": 7,
    "verified": True,
    "unkept": None,
    "names": ["a", "b"],
}


class Journal:
    """The journal's end of the socket, with little room."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(10)

    def entry(self) -> dict[str, str]:
        """Return the next entry."""
        return parse(self._socket.recv(1 << 20))

    def close(self) -> None:
        self._socket.close()
        Path(self.path).unlink(missing_ok=True)


def parse(data: bytes) -> dict[str, str]:
    """Read an entry back, by https://systemd.io/JOURNAL_NATIVE_PROTOCOL/."""
    found = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, plain, value = head.partition(b"=")
        if not plain:
            size = int.from_bytes(data[:8], "little")
            value, data = data[8 : 8 + size], data[9 + size :]
        found[name.decode()] = value.decode()
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "socket")
    yield made
    made.close()


def test_an_entry_has_words_for_people_and_a_field_for_each_member() -> None:
    made = entry(EVENT)
    assert parse(made.datagram) == {
        "MESSAGE": 'rotated crm path=secret/tokens/crm version=7 verified=true unkept=null names=["a","b"]',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "refresher",
        "REFRESHER_EVENT": "rotated",
        "REFRESHER_JOB": "crm",
        "REFRESHER_PATH": "secret/tokens/crm",
        "REFRESHER_VERSION": "7",
        "REFRESHER_VERIFIED": "true",
        "REFRESHER_NAMES": '["a", "b"]',
    }
    assert made[:3] == "<4>"
    assert json.loads(made[3:]) == EVENT


@pytest.mark.parametrize("text", ["a\nMESSAGE=forged\nPRIORITY=0", "\n", "a\n\n\0b", "=", "é\u2028\u202e\x1b[31m"])
@pytest.mark.leak("L22")
def test_no_value_makes_a_field_of_its_own(text: str) -> None:
    found = parse(entry({**EVENT, "why": text}).datagram)
    assert found["REFRESHER_WHY"] == text
    assert found["PRIORITY"] == "4"
    assert found["MESSAGE"].isprintable()


def test_an_entry_is_bounded() -> None:
    huge: list[lines.Plain] = ["x" * lines.TEXT_LIMIT] * lines.MEMBERS_LIMIT
    made = entry({**EVENT, "names": huge})
    assert len(made.datagram) < lines.LINE_LIMIT
    assert parse(made.datagram) == {
        "MESSAGE": "rotated crm cut=true",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "refresher",
        "REFRESHER_EVENT": "rotated",
        "REFRESHER_JOB": "crm",
        "REFRESHER_CUT": "true",
    }


def test_entries_arrive_and_standard_error_stays_empty(journal: Journal, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w+") as stream:
        output = JournalOutput(stream, lambda count: entry({**EVENT, "count": count}), journal.path)
        for number in range(3):
            output.put(entry({**EVENT, "version": number}))
            assert journal.entry()["REFRESHER_VERSION"] == str(number)
        output.close()
        assert (tmp_path / "stderr").read_text() == ""
        assert output.dropped == 0


def test_what_the_journal_does_not_take_goes_to_standard_error(journal: Journal, tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w+") as stream:
        output = JournalOutput(stream, lambda count: entry({**EVENT, "count": count}), journal.path)
        journal.close()
        output.put(entry({**EVENT, "version": 1}))
        assert output.flush(20)
        again = Journal(Path(journal.path))
        output.put(entry({**EVENT, "version": 2}))
        assert again.entry()["REFRESHER_VERSION"] == "2"
        again.close()
        output.close()
        (line,) = (tmp_path / "stderr").read_text().splitlines()
        assert line.startswith("<4>{")
        assert json.loads(line[3:])["version"] == 1
        assert output.dropped == 0


def test_a_journal_that_does_not_read_stops_nobody(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journald, "STALL", 10)
    with (tmp_path / "stderr").open("w+") as stream:
        output = JournalOutput(stream, lambda count: entry({**EVENT, "count": count}), journal.path)
        for number in range(100):
            output.put(entry({**EVENT, "version": number}))
        assert output.flush(10)
        output.close()
        written = [json.loads(line[3:])["version"] for line in (tmp_path / "stderr").read_text().splitlines()]
        read = [int(journal.entry()["REFRESHER_VERSION"]) for _ in range(100 - len(written))]
        assert sorted(written + read) == list(range(100))
        assert written


def test_a_stream_is_the_journals_where_systemd_says_so(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())
        named = f"{found.st_dev}:{found.st_ino}"
        assert journald.is_journal(stream, {"JOURNAL_STREAM": named})
        assert not journald.is_journal(stream, {"JOURNAL_STREAM": named + "0"})
        assert not journald.is_journal(stream, {})
        assert not journald.is_journal(io.StringIO(), {"JOURNAL_STREAM": named})


@pytest.mark.parametrize("format_", ["auto", "json", "text"])
def test_the_log_knows_the_journal(
    configured: Callable[..., Logged], journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    configured()  # puts the process back as it was
    canaries = Canaries()
    secret = canaries.plant("secret")
    with (tmp_path / "stderr").open("w+") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(log, "JournalOutput", lambda *ports: JournalOutput(*ports, journal.path))
        log.configure(LogSettings(format=format_), stream=stream)
        structlog.get_logger().error("rotated", job="crm", secret=Secret(secret), error=RuntimeError(secret))
        log._close()
        said = (tmp_path / "stderr").read_text()
        if format_ == "auto":
            arrived = journal.entry()
            assert said == ""
            assert (arrived["REFRESHER_JOB"], arrived["PRIORITY"]) == ("crm", "3")
            said = json.dumps(arrived)
        else:
            assert said.startswith("<3>{" if format_ == "json" else "<3>2")
        canaries.check(said)
