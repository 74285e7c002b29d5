"""How a connection comes about, and what may come over it: aiohttp's connector by our rules.

Rules of this module:
- No connection goes to a link-local, multicast or unspecified address, whatever name led there: the address is
  checked where the socket is made, after the name was resolved.
- Each name is looked up in a thread of its own. The system's resolver can't be interrupted: one that hangs holds up
  neither another name, nor anybody else who uses the loop's threads, nor the end of the process.
- A reply that never ends (interim answers, chunks with a megabyte of extensions) is cut after so many bytes.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from refresher.core.address import is_forbidden

MOST: Final = 4 << 20
"""Bytes that may come for one reply, all that is round its body counted: four times the largest body that is read."""
KEPT_NAMES: Final = 10
"""Seconds for which an address is used again: a host that moved is found at its new one after that."""

_HEAD_END: Final = b"\r\n\r\n"
_HEADS: Final = 8  # of one segment that are looked at one by one


class ForbiddenAddressError(OSError):
    """A name led to an address that no request may go to."""


def connector(
    context: ssl.SSLContext, *, keepalive: float, connections: int, connected: Callable[[], None] = lambda: None
) -> aiohttp.TCPConnector:
    """Make the connector of one session, on the running loop.

    `keepalive`: seconds that an idle connection is kept, 0 for none. `connections`: how many at once. `connected` is
    called in the context of a request that has its connection.
    """
    kept: dict[str, Any] = {"keepalive_timeout": keepalive} if keepalive else {"force_close": True}
    made = _Connector(
        ssl=context,
        limit=connections,
        socket_factory=_guarded_socket,
        resolver=_Names(),
        ttl_dns_cache=KEPT_NAMES,
        **kept,
    )
    made.connected = connected
    made._factory = functools.partial(_bounded, asyncio.get_running_loop())  # noqa: SLF001  # aiohttp has no public way
    return made


class _Connector(aiohttp.TCPConnector):
    """Says when a request has its connection; aiohttp's own tracing does so for a tenth of a request's cost."""

    connected: Callable[[], None]

    async def connect(self, *request: Any, **more: Any) -> Connection:  # noqa: ANN401  # handed on as they are
        """Return a connection for a request, kept or new."""
        connection = await super().connect(*request, **more)
        self.connected()
        return connection


class _Bounded(ResponseHandler):
    """Reads a reply's head before what follows it, and no more than MOST bytes of one reply.

    aiohttp's parser drops a whole reply when garbage follows it in the same segment; so the reply is there first.
    """

    _came = 0

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401  # handed on as they are
        self._came = 0  # another reply on the same connection
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        if self._came > MOST and self.transport is not None:
            self.transport.abort()
            return
        for _ in range(_HEADS):
            end = data.find(_HEAD_END) if data.startswith(b"HTTP/") else -1
            if not 0 <= end < len(data) - len(_HEAD_END):
                break
            super().data_received(data[: end + len(_HEAD_END)])
            data = data[end + len(_HEAD_END) :]
        super().data_received(data)


def _bounded(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Bounded(loop)


class _Names(AbstractResolver):
    """The system's resolver, asked in a thread for each name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`. Raises OSError: there is no such name, or nobody could say."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[tuple[Any, ...]]] = loop.create_future()
        threading.Thread(target=_look_up, args=(loop, found, host, port, family), name="name", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _look_up(loop: asyncio.AbstractEventLoop, found: asyncio.Future[Any], host: str, port: int, family: int) -> None:
    try:
        result = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is an answer for whoever waits
        tell = functools.partial(found.set_exception, error)
    else:
        tell = functools.partial(found.set_result, result)
    with suppress(RuntimeError):  # nobody waits any more: the loop is closed
        loop.call_soon_threadsafe(lambda: None if found.done() else tell())


def _guarded_socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    if is_forbidden(ipaddress.ip_address(address[0])):
        raise ForbiddenAddressError
    return socket.socket(family, kind, protocol)
