"""Where the page is served: a port on loopback, or a Unix socket."""

import errno
import os
import socket
from pathlib import Path


def bound(listen: str) -> tuple[socket.socket, frozenset[str] | None]:
    """Return a socket bound to `listen`, and what `Host` may say there. Raises OSError where it is taken."""
    if listen.startswith("/"):
        return _unix(Path(listen)), None
    host, _, port = listen.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1" if plain == "localhost" else plain, int(port)))
    except OSError:
        made.close()
        raise
    names = {host, "localhost", "127.0.0.1", "[::1]"}
    return made, frozenset(f"{name}:{port}" for name in names) | (names if port == "80" else frozenset())


def _unix(path: Path) -> socket.socket:
    """Return a socket at `path`, for owner and group; one that nobody listens on any more is put out of the way."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
                knock.settimeout(1)
                if knock.connect_ex(str(path)) == 0:
                    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))  # noqa: TRY301  # closed below
            path.unlink(missing_ok=True)
        made.bind(str(path))
        path.chmod(0o660)
    except OSError:
        made.close()
        raise
    return made
