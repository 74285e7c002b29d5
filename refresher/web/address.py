"""Where the page is served: a port on loopback, or a Unix socket."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from refresher.host import sockets


@contextmanager
def listening(listen: str) -> Iterator[tuple[socket.socket, frozenset[str] | None]]:
    """Have a socket at `listen` while the block lasts, and what `Host` may say there. Raises OSError where it is taken.

    The file of a Unix socket is gone then.
    """
    if listen.startswith("/"):
        with sockets.listening(Path(listen), 0o660) as made:
            yield made, None
        return
    host, _, port = listen.rpartition(":")
    plain = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in plain else socket.AF_INET
    names = {host, "localhost", "127.0.0.1", "[::1]"}
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1" if plain == "localhost" else plain, int(port)))
        yield made, frozenset(f"{name}:{port}" for name in names) | (names if port == "80" else frozenset())
