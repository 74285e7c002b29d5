"""Unix sockets: a place to listen at, which one of a living process never loses, and who speaks at the other end.

Rules of this module:
- A socket file that nobody listens at (its daemon was killed) is replaced; one that somebody does, never.
- A lock on the directory, so that two processes that start together don't take each other's for dead.
- A path may be longer than an address holds (107 bytes): the directory is named by a descriptor.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator, Sized
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from refresher.host import paths

BACKLOG: Final = 64
KNOCK_S: Final = 1.0
_UCRED: Final = struct.Struct("iII")  # unix(7): pid, uid, gid


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The process at the other end, as the kernel names it."""

    pid: int
    uid: int


class Refusal(asyncio.Protocol):
    """Hangs up: there are connections enough."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


class Server(Protocol):
    """What makes the protocol of each connection, and knows those that are open."""

    @property
    def connections(self) -> Sized:
        """The open ones."""

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one more."""


@asynccontextmanager
async def admitting(server: Server, listener: socket.socket, most: int) -> AsyncIterator[None]:
    """Have `server` take what comes to `listener` while the block lasts, up to `most` connections at once."""

    def admit() -> asyncio.Protocol:
        return server() if len(server.connections) < most else Refusal()

    listening = await asyncio.get_running_loop().create_server(admit, sock=listener)
    try:
        yield
    finally:
        listening.close()


def bound(path: Path, mode: int) -> socket.socket:
    """Return a socket that listens at `path`, whose file has `mode`. Raises OSError where another process does."""
    with paths.locked(path.parent) as folder:
        address, made = _address(folder, path.name), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if path.is_socket():
                if not _is_dead(address):
                    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))  # noqa: TRY301  # closed below
                path.unlink(missing_ok=True)
            made.bind(address)
            path.chmod(mode)  # nobody gets in before it listens
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
        return made


@contextmanager
def listening(path: Path, mode: int) -> Iterator[socket.socket]:
    """Listen at `path` while the block lasts; then the file is gone. Raises OSError where another process does."""
    with bound(path, mode) as made:
        ours = path.stat().st_ino
        try:
            yield made
        finally:
            with suppress(OSError), paths.locked(path.parent):
                if path.stat().st_ino == ours:
                    path.unlink()


def connected(path: Path, seconds: float) -> socket.socket:
    """Return a socket that speaks with whoever listens at `path`; nobody there may take longer. Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.connect(_address(folder, path.name))
    except OSError:
        made.close()
        raise
    finally:
        os.close(folder)
    return made


def caller(connection: socket.socket) -> Caller:
    """Return who is at the other end of a connection, as of its begin. Raises OSError."""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Caller(pid=pid, uid=uid)


def _address(folder: int, name: str) -> str:
    return f"/proc/self/fd/{folder}/{name}"


def _is_dead(address: str) -> bool:
    """Whether nobody listens there. A process that is stopped, or has many callers, is alive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(KNOCK_S)
        try:
            knock.connect(address)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return False
