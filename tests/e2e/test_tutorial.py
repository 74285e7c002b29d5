"""The tutorial, typed in as it stands: only the ports are others, and tokens live shorter, so that nobody waits."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.web.stage import free_port

pytestmark = pytest.mark.e2e
PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "half-hour.md"
LIFETIME_S = 12
PATIENCE_S = 90


class Block(NamedTuple):
    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    vault, _, provider = free_port(), free_port(), free_port()  # Vault's next one is Vault's too
    text = PAGE.read_text().replace("8200", str(vault)).replace("8085", str(provider))
    text = text.replace('"expires_in": 60', f'"expires_in": {LIFETIME_S}')
    text = text.replace("[jobs.crm]", '[web]\nlisten = ""\n\n[jobs.crm]', 1)
    found = re.findall(r'^```(\w+)(?: title="(.*?)")?\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return [Block(*one) for one in found]


class Desk:
    """A person at some terminals, in a folder where the clone would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blocks = blocks()
        self.environ = {"HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.defpath}", "LANG": "C.UTF-8"}
        every = next(one.text for one in self.blocks if one.title == "Every terminal")
        assert every.startswith(". .venv/bin/activate\n")
        self.begin = every.partition("\n")[2]

    def next(self, title: str) -> str:
        """Return the next block of that title; the reader goes down the page."""
        number = next(number for number, one in enumerate(self.blocks) if one.title == title)
        block = self.blocks[number]
        del self.blocks[: number + 1]
        return block.text

    def shown(self) -> list[str]:
        """Return the lines that the page says come next."""
        return next(one.text for one in self.blocks if one.language == "text").splitlines()

    def type(self, title: str) -> str:
        """Type in a block and return what came of it; each line has to end well."""
        text = self.next(title).replace("refresher status", "refresher status || true")  # it may be due just now,
        text = re.sub(r"^(refresher watch .*)", r"\1 || true", text, flags=re.MULTILINE)  # or a little late
        done = subprocess.run(
            ["sh", "-euc", self.begin + text],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextmanager
    def running(self, text: str, log: str) -> Iterator[Path]:
        """Have a block run in a terminal of its own; return the file with what it says."""
        file = self.folder / log
        with file.open("a") as out:
            program = subprocess.Popen(
                ["sh", "-euc", f"{self.begin}exec {text}"], cwd=self.folder, env=self.environ, stdout=out, stderr=out
            )
        try:
            yield file
        finally:
            program.terminate()
            program.wait(timeout=PATIENCE_S)


def wait_for(file: Path, word: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while word not in file.read_text():
        assert time.monotonic() < ends, file.read_text()
        time.sleep(0.1)


def wait_until_heard(port: int) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < ends, port
        time.sleep(0.1)


def plain(lines: list[str]) -> set[str]:
    """Return lines without the folder that one of them names."""
    return {line.partition(", to be put where ")[0] for line in lines}


def test_it(tmp_path):
    desk = Desk(tmp_path)
    assert desk.next("Terminal 1").endswith("&& cd refresher\nmake demo\n")
    with ExitStack() as terminals:
        vault = terminals.enter_context(desk.running(desk.next("Terminal 1: Vault"), "vault.log"))
        program = tmp_path / "half-hour" / "provider.py"
        program.parent.mkdir(exist_ok=True)
        program.write_text(desk.next("provider.py"))
        port = int(re.search(r'"127.0.0.1", (\d+)', program.read_text())[1])
        start = desk.next("Terminal 2: the provider")
        with desk.running(start, "provider.log"):
            assert desk.type("Terminal 3").splitlines() == desk.shown()
            wait_for(vault, "Root Token: root")
            wait_until_heard(port)
            assert plain(desk.type("Terminal 3").splitlines()) == plain(desk.shown())
            assert desk.type("Terminal 3").startswith("crm: rotated (missing), secret/tokens/crm v1, expires ")
            log = terminals.enter_context(desk.running(desk.next("Terminal 4: refresher"), "refresher.log"))
            told = desk.type("Terminal 3")
            assert re.search(r"^crm +oauth2 +", told, re.MULTILINE)
            assert "every job survives an outage of its provider, or of Vault, of " in told
            assert "crm: rotated (missing): secret/tokens/crm v1" in told
            wait_for(log, '"event":"rotated"')
            assert re.search(r"REFRESHER (OK|WARNING) - .*secret/tokens/crm: it lives ", desk.type("Terminal 3"))
        lines = desk.type("Terminal 3: until it is not OK").splitlines()
        assert re.match(r"REFRESHER (WARNING|CRITICAL) - 1 of 1: secret/tokens/crm: it ", lines[-1])
        assert desk.shown()[0].startswith("REFRESHER WARNING - 1 of 1: secret/tokens/crm: it lives ")
        wait_for(log, '"event":"failing"')
        with desk.running(start, "provider.log"):
            wait_until_heard(port)
            told = desk.type("Terminal 3: until it is OK again")
        assert "REFRESHER OK - secret/tokens/crm: it lives " in told
        assert "crm: rejected transient (due): transport" in told
    assert {one.language for one in desk.blocks} <= {"text"}, "all was typed in"
