"""A place to listen at: taken from the dead, never from the living, and gone at the end."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from refresher.control.names import socket_of
from refresher.host import sockets

LISTEN = """
import sys
from pathlib import Path
from refresher.host import sockets
made = sockets.bound(Path(sys.argv[1]), 0o600)
print("listens", flush=True)
sys.stdin.read()
"""


def listener(path: Path) -> "subprocess.Popen[str]":
    """Return a process that listens there."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", LISTEN, str(path)], **pipes)
    assert process.stdout.readline() == "listens\n"
    return process


@pytest.mark.parametrize("mode", [0o600, 0o660])
@pytest.mark.leak("L27", "L30")
def test_it_has_its_mode_whatever_the_umask_and_is_gone_at_the_end(tmp_path, mode):
    path = tmp_path / "control-default.sock"
    with sockets.listening(path, mode):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        with sockets.connected(path, 5) as connection:
            assert sockets.caller(connection).uid == os.getuid()
    assert not path.exists()


def test_one_of_a_killed_process_is_replaced_and_one_of_a_living_or_stopped_one_is_not(tmp_path):
    path = tmp_path / "view-default.sock"
    with listener(path) as process:
        for how in (None, signal.SIGSTOP):
            if how is not None:
                process.send_signal(how)
            with pytest.raises(OSError, match="in use"):
                sockets.bound(path, 0o660)
        process.kill()
        process.wait()
        assert path.is_socket(), "it lies about"
        with sockets.listening(path, 0o660), sockets.connected(path, 5) as connection:
            assert sockets.caller(connection).pid == os.getpid()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "view-default.sock"
    path.write_text("notes")
    with pytest.raises(OSError, match="in use"):
        sockets.bound(path, 0o660)
    assert path.read_text() == "notes"


def test_a_file_that_came_in_its_place_is_not_removed(tmp_path):
    path = tmp_path / "view-default.sock"
    with sockets.listening(path, 0o660):
        path.rename(tmp_path / "away")
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_a_path_may_be_longer_than_an_address(tmp_path):
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = folder / "control-default.sock"
    with pytest.raises(OSError, match="too long"), socket.socket(socket.AF_UNIX) as plain:
        plain.bind(str(path))
    with sockets.listening(path, 0o600), sockets.connected(path, 5) as connection:
        assert sockets.caller(connection).pid == os.getpid()


def test_an_instance_of_several_words_has_its_socket_in_the_same_folder(tmp_path):
    assert socket_of(tmp_path, "view", "eu/blue") == tmp_path / "view-eu+blue.sock"
