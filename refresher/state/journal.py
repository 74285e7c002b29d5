"""The journal: an answer that is not in Vault yet, encrypted, in one file for each job in the state directory.

Rules of this module:
- `NAME.next` is made, filled up and synced before the request, so that a full disk is met before anything is spent.
- Vault took it: `NAME.next` becomes `NAME.last`, the newest pair, kept until the next one takes its place.
- AES-256-GCM; the key is never here. The job's name is bound in: a file that is put in another's place opens nothing.
- What can't be read is set aside, never deleted, and stops nobody.
- `NAME.next` is locked from the slot's reservation to its end: a second process sees that the first one lives.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from refresher.core import filenames
from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.secret import Secret

MAGIC: Final = b"RFJ1"
NONCE: Final = 12  # bytes (NIST SP 800-38D)
LENGTH: Final = 4  # bytes, of what follows
HEAD: Final = len(MAGIC) + NONCE + LENGTH
SLOT: Final = 64 * 1024  # bytes set apart; a longer entry grows the file
LIMIT: Final = 1024 * 1024
PASSING: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR))


class Journal:
    """ports.Journal over a folder of an instance. One walk at a time for each job."""

    def __init__(self, directory: Path, instance: str) -> None:
        self._folder = _folder(directory, instance)
        self._instance = instance
        self._slots: dict[str, int] = {}

    async def reserve(self, job: str) -> None:
        """Set a slot apart for `job`. StoreConflictError `busy`: another process has it; StoreRefusedError: no room."""
        try:
            await asyncio.to_thread(self._reserve, job)
        except BlockingIOError:
            raise StoreConflictError("busy", f"{self._next(job)}: another process is rotating this job") from None
        except OSError as error:
            raise StoreRefusedError("journal", f"{self._folder}: {os.strerror(error.errno or 0)}") from None

    async def enter(self, job: str, text: Secret, key: bytes) -> bool:
        """Write `text` into the slot and sync it; return whether it is there."""
        slot = self._slots.get(job)
        if slot is None:
            return False
        content = _sealed(key, self._bound(job), text)
        return await _unless_failed(lambda: _fill(slot, content))

    async def keep(self, job: str) -> None:
        """Vault took the entry: it is the last pair now."""
        await _unless_failed(lambda: self._keep(job))
        self._close(job)

    async def release(self, job: str) -> None:
        """Give the slot up: what is in it is of no use."""
        await _unless_failed(lambda: self._next(job).unlink(missing_ok=True))
        self._close(job)

    def has(self, job: str, *, last: bool = False) -> bool:
        """Whether there is something to read."""
        return self._path(job, last=last).exists()

    def busy(self, job: str) -> bool:
        """Whether another process has the slot of `job`."""
        if job in self._slots:
            return False
        with suppress(OSError):
            file = _open(self._next(job), os.O_RDONLY)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(file)
        return False

    async def read(self, job: str, key: bytes, *, last: bool = False) -> Secret | None:
        """Return the entry that is not in Vault yet, or the last pair; None, and set aside, when it can't be read."""
        return await asyncio.to_thread(self._read, job, key, self._path(job, last=last))

    def _read(self, job: str, key: bytes, path: Path) -> Secret | None:
        try:
            file = _open(path, os.O_RDONLY)
        except OSError as error:
            if error.errno in PASSING:  # taken for empty, it would be written over
                raise StoreRefusedError("journal", f"{path}: {os.strerror(error.errno)}") from None
            return None
        with open(file, "rb") as stream, suppress(OSError):  # noqa: PTH123  # it is open already
            content = stream.read(LIMIT)
            if not content.strip(b"\0"):
                return None  # a slot that was reserved and not used
            if (text := _opened(key, self._bound(job), content)) is not None:
                return text
        with suppress(OSError):
            path.rename(path.with_name(f"{path.name}.aside-{secrets.token_hex(4)}"))
        return None

    def _reserve(self, job: str) -> None:
        self._close(job)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = _open(self._next(job), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.posix_fallocate(file, 0, SLOT)
            os.fsync(file)
            self._sync_folder()
        except BaseException:
            os.close(file)
            raise
        self._slots[job] = file

    def _keep(self, job: str) -> None:
        self._next(job).rename(self._path(job, last=True))
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _close(self, job: str) -> None:
        slot = self._slots.pop(job, None)
        if slot is not None:
            os.close(slot)

    def _path(self, job: str, *, last: bool) -> Path:
        name = f"{job[:100]}.{hashlib.sha256(job.encode()).hexdigest()[:8]}"  # a job's name may be too long for a file
        return self._folder / (f"{name}.last" if last else f"{name}.next")

    def _next(self, job: str) -> Path:
        return self._path(job, last=False)

    def _bound(self, job: str) -> bytes:
        return f"{self._instance}\0{job}".encode()


def usage(directory: Path, instance: str) -> tuple[int, int]:
    """Return how many entries are not in Vault yet, or under way, and how many bytes all files take."""
    waiting = size = 0
    with suppress(OSError), os.scandir(_folder(directory, instance)) as files:
        for file in files:
            waiting += file.name.endswith(".next")
            with suppress(OSError):
                size += file.stat(follow_symlinks=False).st_size
    return waiting, size


def _folder(directory: Path, instance: str) -> Path:
    return directory / f"journal-{filenames.of(instance)}"


def _open(path: Path, flags: int) -> int:
    # O_NONBLOCK: a FIFO put in its place must not hold us up
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)


def _fill(file: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], written)
    os.ftruncate(file, len(content))
    os.fsync(file)


async def _unless_failed(deed: Callable[[], None]) -> bool:
    """Do it in a thread; a disk that fails now must not keep an answer from Vault."""
    try:
        await asyncio.to_thread(deed)
    except OSError:
        return False
    return True


def _sealed(key: bytes, bound: bytes, text: Secret) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # verbs that only look need none

    nonce = secrets.token_bytes(NONCE)
    content = AESGCM(key).encrypt(nonce, text.reveal().encode(errors="surrogatepass"), bound)
    return MAGIC + nonce + len(content).to_bytes(LENGTH, "big") + content


def _opened(key: bytes, bound: bytes, content: bytes) -> Secret | None:
    """Return what `_sealed` sealed; None when a single bit of it is another, or the key is."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # as above

    nonce, length = content[len(MAGIC) : len(MAGIC) + NONCE], int.from_bytes(content[HEAD - LENGTH : HEAD], "big")
    sealed = content[HEAD : HEAD + length]
    if content[: len(MAGIC)] != MAGIC or len(nonce) < NONCE:
        return None
    try:
        return Secret(AESGCM(key).decrypt(nonce, sealed, bound).decode(errors="surrogatepass"))
    except (InvalidTag, ValueError):
        return None
