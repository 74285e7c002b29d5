"""A real systemd, booted for a test: first process of its own namespaces, on an overlay of the machine's root.

It takes a second, needs root and Debian's `systemd`, and leaves nothing behind: its files are in a tmpfs of its own
mount namespace, its processes die with the one that booted it.
"""

import ctypes
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

BOOT = Path(__file__).with_name("boot.sh")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "SYSTEMD_PAGER": ""}
BOOTED_S = 60
POLL_S = 0.05
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


class Box:
    """A booted systemd. `pid` is its first process as the machine sees it, `root` its file system seen from here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.root = Path(f"/proc/{pid}/root")

    def run(self, *words: str, check: bool = True, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a program inside, as root, with `text` on its standard input; `check`: its failure is ours."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.pid), "--all", *words],
            env=ENVIRONMENT,
            input="" if text is None else text,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def systemctl(self, *words: str, check: bool = True) -> int:
        return self.run("systemctl", *words, check=check).returncode

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file inside; a folder that is missing is made, for all to read."""
        file = self.root / path.lstrip("/")
        for folder in [one for one in file.parents if not one.exists()][::-1]:
            folder.mkdir(mode=0o755)
            folder.chmod(0o755)
        file.write_text(text)
        file.chmod(mode)

    def drop_in(self, unit: str, text: str, name: str = "test") -> None:
        """Add to a unit as `systemctl edit` does, until the box is gone; an empty `text` takes it away."""
        file = f"/etc/systemd/system/{unit}.d/{name}.conf"
        if text:
            self.write(file, text)
        else:
            (self.root / file.lstrip("/")).unlink(missing_ok=True)
        self.systemctl("daemon-reload")

    def show(self, unit: str, *names: str) -> tuple[str, ...]:
        """Return properties of a unit."""
        text = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
        values = dict(line.split("=", 1) for line in text.splitlines())
        return tuple(values.get(name, "") for name in names)

    def wait(self, unit: str, *, within: float = 30, **properties: str) -> None:
        """Wait until a unit has these properties: systemd has no way to wait for one of them."""
        ends = time.monotonic() + within
        while (found := self.show(unit, *properties)) != tuple(properties.values()):
            assert time.monotonic() < ends, f"{unit}: {found}, not {properties}\n{self.log(unit)}"
            time.sleep(POLL_S)

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return the entries of the journal that match."""
        self.run("journalctl", "--sync")
        lines = self.run("journalctl", "--quiet", "--all", "--output=json", *matches).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def log(self, unit: str) -> str:
        """Return a unit's messages, as people read them."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--quiet", "--all", "--output=cat", f"--unit={unit}").stdout

    def main_pid(self, unit: str) -> str:
        return self.show(unit, "MainPID")[0]

    @contextmanager
    def network(self) -> Iterator[None]:
        """Be in the box's network, which has a loopback of its own, for as long as the context lasts.

        It holds for the calling thread, and for what it starts meanwhile: programs, threads, sockets.
        """
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            inside = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _setns(inside)
            os.close(inside)
            try:
                yield
            finally:
                _setns(outside)
        finally:
            os.close(outside)


_OUTSIDE = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def outside() -> Iterator[None]:
    """Be in the machine's own network, whichever box's the thread is in, for as long as the context lasts."""
    inside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(_OUTSIDE)
        yield
    finally:
        _setns(inside)
        os.close(inside)


def _setns(descriptor: int) -> None:
    if _LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def booted(folder: Path, tree: Path = Path("/")) -> Iterator[Box]:
    """Boot the systemd of the file system `tree`, and end it with all that runs in it. Call it in the main thread."""
    with _cgroup(folder) as cgroup:
        process = _start(folder, tree, cgroup)
        try:
            box = Box(_first_process(process, folder))
            _await_boot(box, folder)
            (cgroup.parent / "cgroup.procs").write_text(str(process.pid))  # in the box's own it is a stranger
            yield box
        finally:
            process.kill()  # the box dies with it
            process.wait()


@contextmanager
def _cgroup(folder: Path) -> Iterator[Path]:
    """Make a cgroup for a box: membership decides what its cgroup namespace shows as the root."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    unified = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    if unified is None:
        unified = folder / "cgroup2"
        unified.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "none", str(unified)], check=True)
    made = unified / f"refresher-box-{os.getpid()}-{next(_numbers)}"
    made.mkdir()
    try:
        yield made
    finally:
        _remove(made)


def _remove(cgroup: Path) -> None:
    ends = time.monotonic() + 10
    while cgroup.exists() and time.monotonic() < ends:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with suppress(OSError):  # a process in it is still on its way out
                Path(folder).rmdir()
        time.sleep(POLL_S if cgroup.exists() else 0)


def _start(folder: Path, tree: Path, cgroup: Path) -> "subprocess.Popen[bytes]":
    parent = os.getpid()

    def prepare() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        (cgroup / "cgroup.procs").write_text("0")

    kinds = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup")
    command = ["unshare", "--fork", *kinds, "--kill-child=SIGKILL", str(BOOT), str(folder), str(tree)]
    with (folder / "console.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509  # a few system calls, no lock taken
        )


def _first_process(process: "subprocess.Popen[bytes]", folder: Path) -> int:
    """Return the child of unshare, once it is systemd."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    ends = time.monotonic() + BOOTED_S
    while time.monotonic() < ends and process.poll() is None:
        for pid in children.read_text().split():
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return int(pid)
        time.sleep(POLL_S)
    raise AssertionError(f"systemd was not started:\n{(folder / 'console.log').read_text()}")


def _await_boot(box: Box, folder: Path) -> None:
    ends = time.monotonic() + BOOTED_S
    state = ""
    while state not in ("running", "degraded"):
        assert time.monotonic() < ends, f"not booted, {state}:\n{(folder / 'console.log').read_text()}"
        time.sleep(POLL_S)
        state = box.run("systemctl", "is-system-running", check=False).stdout.strip()
