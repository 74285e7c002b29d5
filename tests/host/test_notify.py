"""What goes to the service manager, on sockets of its kind, and that none of them can do us harm."""

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.host.notify import Manager
from tests.fakes.clock import VirtualClock
from tests.fakes.manager import listening

SECOND = timedelta(seconds=1)


def say_all(manager: Manager) -> None:
    manager.ready("a")
    manager.reloading()
    manager.stopping()
    manager.status("b")
    manager.alive()
    manager.extend(SECOND)


@pytest.mark.parametrize("abstract", [False, True], ids=["a path", "an abstract name"])
async def test_the_words_of_the_protocol(tmp_path: Path, *, abstract: bool) -> None:
    clock = VirtualClock()
    await clock.advance(1.5 * SECOND)
    with listening(tmp_path / "notify", abstract=abstract, watchdog=60, pid=str(os.getpid())) as manager:
        say_all(Manager(clock, manager.environ))
        assert manager.messages() == [
            {"READY": "1", "STATUS": "a"},
            {"RELOADING": "1", "MONOTONIC_USEC": "1500000", "STATUS": "reads jobs.toml again"},
            {"STOPPING": "1", "STATUS": "finishes what is under way"},
            {"STATUS": "b"},
            {"WATCHDOG": "1"},
            {"EXTEND_TIMEOUT_USEC": "1000000"},
        ]


def test_a_status_is_one_line(tmp_path: Path) -> None:
    with listening(tmp_path / "notify") as manager:
        Manager(VirtualClock(), manager.environ).status("a\nREADY=1\tb")
        assert manager.messages() == [{"STATUS": "a READY=1 b"}]


@pytest.mark.parametrize(
    ("environ", "span"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2 * SECOND),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2 * SECOND),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "me"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "2s"}, None),
    ],
)
def test_the_watchdog_is_ours_or_nobodys(tmp_path: Path, environ: dict[str, str], span: timedelta | None) -> None:
    with listening(tmp_path / "notify") as manager:
        one = Manager(VirtualClock(), {**manager.environ, **environ})
        assert one.watchdog == span
        one.alive()
        assert manager.said() == ([] if span is None else ["WATCHDOG"])


@pytest.mark.parametrize(
    "address", ["", "vsock:2:1234", "relative", "/nowhere/notify", "@nobody-listens", "/" + 200 * "x"]
)
def test_a_manager_that_is_not_there_harms_nobody(address: str) -> None:
    manager = Manager(VirtualClock(), {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"})
    assert manager.is_there == (address[:1] in ("/", "@"))
    say_all(manager)


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    settimeout = socket.socket.settimeout
    monkeypatch.setattr(socket.socket, "settimeout", lambda self, s: (waits.append(s), settimeout(self, min(s, 0.01))))
    with listening(tmp_path / "notify") as manager:
        one = Manager(VirtualClock(), manager.environ)
        for _ in range(2000):
            one.status("as long as there is room")
        assert len(manager.messages()) < 2000
        for _ in range(2000):
            one.status("as long as there is room")
        one.ready("there is none")
        assert (set(waits[:-1]), waits[-1]) == ({0}, 1)
        assert {"READY": "1"} not in manager.messages()
