"""Where refresher keeps what must outlive the process, and who this holder is.

Rules of the identity's file:
- 0600, made at first use: temporary file in the same directory, fsync, rename, fsync of the directory.
- A lock on the directory, so that two processes that start together agree on one.
- What can't be read, or could be read or written by others, is set aside and made new: it is never deleted.
- A directory that can't be written never stops anybody: the identity then lasts as long as the process, and says so.
"""

import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Final

from refresher.core import filenames

SYSTEM_DIR: Final = Path("/var/lib/refresher")
RUN_DIR: Final = Path("/run/refresher")
SIZE_LIMIT: Final = 4096  # bytes; the identity has about 130
HOLDER: Final = re.compile(r"[0-9a-f]{16}")
KEY: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this installation is: `holder` goes into intents and jitter, `key` (32 bytes) into fingerprints.

    `warning` is a line for people, or `""`: the identity is new although one was there, or won't survive a restart.
    """

    holder: str
    key: bytes = field(repr=False)
    warning: str = ""


def state_dir(configured: Path | None) -> Path:
    """Return the directory of ledger, journal and identity, made (0700) where it is missing and can be made.

    `[state] dir` (`configured`), else the first of $STATE_DIRECTORY (systemd.exec(5): separated by colons), else
    /var/lib/refresher where that is ours to use, else `refresher` in the XDG state folder. It raises nothing: whoever
    writes there meets the error and can say what for.
    """
    path = configured or _from_systemd() or _system_wide() or _from_xdg()
    with suppress(OSError):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def runtime_dir(state: Path) -> Path:
    """Return where a daemon has its sockets: the first of $RUNTIME_DIRECTORY, else the directory of its state."""
    return _from_systemd("RUNTIME_DIRECTORY") or state


def runtime_dirs(state: Path, instance: str) -> tuple[Path, ...]:
    """Return where the sockets of a daemon may be: it may run under systemd, while we do not."""
    unit = instance.replace("/", "-")  # as systemd writes a name of several words
    units = (RUN_DIR, RUN_DIR.with_name(f"{RUN_DIR.name}-{unit}"))
    return tuple(dict.fromkeys((runtime_dir(state), *units, state)))


def _from_systemd(name: str = "STATE_DIRECTORY") -> Path | None:
    first = os.environ.get(name, "").split(":")[0]
    return Path(first) if first.startswith("/") else None


def _system_wide() -> Path | None:
    return SYSTEM_DIR if os.access(SYSTEM_DIR, os.R_OK | os.W_OK | os.X_OK) else None


def _from_xdg() -> Path:
    # the XDG base directory specification: a relative path is invalid and ignored
    for base in (os.environ.get("XDG_STATE_HOME", ""), os.path.expanduser("~/.local/state")):  # noqa: PTH111  # Path.expanduser raises without a home
        if base.startswith("/"):
            return Path(base) / "refresher"
    return SYSTEM_DIR


def identity(directory: Path, instance: str) -> Identity:
    """Return the identity of `instance` kept in `directory`, made at first use. It raises nothing."""
    name = f"identity-{filenames.of(instance)}.json"
    try:
        with locked(directory) as folder:
            return _kept(folder, name)
    except OSError as error:
        why = os.strerror(error.errno or 0)
    except ValueError as error:  # what was just written comes back as another's: a file system without modes
        why = str(error)
    return replace(_new(), warning=f"{directory}: {why}: the identity of this run is lost when it ends")


def _kept(folder: int, name: str) -> Identity:
    try:
        return _read(folder, name)
    except FileNotFoundError:
        _write(folder, name, _new())
        return _read(folder, name)
    except (OSError, ValueError):
        aside = _set_aside(folder, name)
        _write(folder, name, _new())
        return replace(_read(folder, name), warning=f"{name} could not be trusted: set aside as {aside} and made new")


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Have the directory to ourselves among processes of refresher; yield its descriptor. Raises OSError."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(folder)


def _new() -> Identity:
    return Identity(holder=secrets.token_hex(8), key=secrets.token_bytes(32))


def read_private(folder: int, name: str, *, limit: int = SIZE_LIMIT) -> bytes:
    """Return what a file of ours holds, up to `limit` bytes.

    Raises OSError, and ValueError where others may read or write it.
    """
    # O_NONBLOCK: a FIFO put in its place must not hold us up
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077 or not _trusted(facts.st_uid):
            raise ValueError("files are not private to us")
        return os.read(file, limit)
    finally:
        os.close(file)


def _read(folder: int, name: str) -> Identity:
    text = read_private(folder, name)
    try:
        members = json.loads(text)
        holder, key = HOLDER.fullmatch(members["holder"]), KEY.fullmatch(members["key"])
    except (TypeError, LookupError, RecursionError):
        holder = key = None
    if not holder or not key:
        raise ValueError("not an identity")
    return Identity(holder=holder[0], key=bytes.fromhex(key[0]))


def _trusted(owner: int) -> bool:
    # root asks on behalf of the service (`sudo refresher status`) and must not make the service a stranger
    return os.geteuid() in (owner, 0)


def _write(folder: int, name: str, fresh: Identity) -> None:
    write_private(folder, name, json.dumps({"holder": fresh.holder, "key": fresh.key.hex()}).encode())


def write_private(folder: int, name: str, text: bytes, *, mode: int = 0o600) -> None:
    """Have a file of ours hold `text`, whole or not at all, whenever the power fails. Raises OSError.

    `mode`: for others too, where there is nothing secret in it.
    """
    temporary = f".{name}.{secrets.token_hex(4)}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        try:
            while text:
                text = text[os.write(file, text) :]
            os.fchmod(file, mode)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _set_aside(folder: int, name: str) -> str:
    taken = set(os.listdir(folder))
    aside = next(candidate for n in count(1) if (candidate := f"{name}.aside-{n}") not in taken)
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    return aside
