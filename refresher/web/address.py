"""Where the page is served: a port on loopback, or a Unix socket."""

import socket
from pathlib import Path

from refresher.host import sockets


def bound(listen: str) -> tuple[socket.socket, frozenset[str] | None]:
    """Return a socket bound to `listen`, and what `Host` may say there. Raises OSError where it is taken."""
    if listen.startswith("/"):
        return sockets.bound(Path(listen), 0o660), None
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
