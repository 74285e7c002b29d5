"""How a connection comes about, and what may come over it: aiohttp's connector by our rules.

Rules of this module:
- No connection goes to a link-local, multicast or unspecified address, whatever name led there: the address is
  checked where the socket is made, after the name was resolved.
- Each name is looked up in a thread of its own. The system's resolver can't be interrupted: one that hangs holds up
  neither another name, nor anybody else who uses the loop's threads, nor the end of the process.
- A reply that never ends (interim answers, chunks with a megabyte of extensions) is cut after so many bytes.
- A connection is kept where few are, and for a while: whoever moved is found at the new place. One on which something
  came that nobody had asked for is not used again: it would be taken for the answer to the next request.
"""

import asyncio
import functools
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from refresher.core.address import is_forbidden

MOST: Final = 4 << 20
"""Bytes that may come for one reply, all that is round its body counted: four times the largest body that is read."""
KEPT_NAMES: Final = 10
"""Seconds for which an address is used again: a host that moved is found at its new one after that."""
AGE: Final = 60.0
"""Seconds after which a connection is closed that is in use all the time."""

_HEAD_END: Final = b"\r\n\r\n"
_HEADS: Final = 8  # of one segment that are looked at one by one


class ForbiddenAddressError(OSError):
    """A name led to an address that no request may go to."""


def connector(
    context: ssl.SSLContext,
    *,
    keepalive: float,
    connections: int,
    kept: int,
    connected: Callable[["Line"], None] = lambda _: None,
) -> aiohttp.TCPConnector:
    """Make the connector of one session, on the running loop.

    `keepalive`: seconds that an idle connection is kept, 0 for none. `connections`: how many at once. `kept`: with more
    than that open, none is kept. `connected` is called in the context of a request with the connection that it has.
    """
    idle: dict[str, Any] = {"keepalive_timeout": keepalive} if keepalive else {"force_close": True}
    made = _Connector(
        ssl=context,
        limit=connections,
        socket_factory=_guarded_socket,
        resolver=_Names(),
        ttl_dns_cache=KEPT_NAMES,
        **idle,
    )
    made.connected = connected
    beside: set[_Bounded] = set()

    def line(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
        return _Bounded(loop, most=kept, beside=beside)

    made._factory = functools.partial(line, asyncio.get_running_loop())  # noqa: SLF001  # aiohttp has no public way
    return made


class _Connector(aiohttp.TCPConnector):
    """Says when a request has its connection; aiohttp's own tracing does so for a tenth of a request's cost."""

    connected: Callable[["Line"], None]

    async def connect(self, *request: Any, **more: Any) -> Connection:  # noqa: ANN401  # handed on as they are
        """Return a connection for a request, kept or new."""
        connection = await super().connect(*request, **more)
        while isinstance(line := connection.protocol, _Bounded) and line.is_spoiled:
            connection.close()
            connection = await super().connect(*request, **more)
        if isinstance(line, _Bounded):  # it always is, by the factory
            self.connected(line)
        return connection


class Line(Protocol):
    """A connection that a request has."""

    @property
    def is_stale(self) -> bool:
        """Whether it was kept after another request, and nothing came for this one."""


class _Bounded(ResponseHandler):
    """Reads a reply's head before what follows it, and no more than MOST bytes of one reply.

    aiohttp's parser drops a whole reply when garbage follows it in the same segment; so the reply is there first.
    `beside`: the connections of the same session that are open; with more than `most` of them none is kept.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, most: int, beside: "set[_Bounded]") -> None:
        super().__init__(loop)
        self._most, self._beside = most, beside
        self._came = self._requests = 0
        self._ages_at = loop.time() + AGE

    @property
    def is_stale(self) -> bool:
        return self._requests > 1 and not self._came

    @property
    def is_spoiled(self) -> bool:
        """Whether something came on it while it was kept, or it is broken."""
        return super().should_close

    @property
    def should_close(self) -> bool:
        """Whether it is closed after the reply: aiohttp asks when it gets it back."""
        return super().should_close or len(self._beside) > self._most or self._loop.time() > self._ages_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._beside.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._beside.discard(self)
        super().connection_lost(exc)

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401  # handed on as they are
        self._requests, self._came = self._requests + 1, 0  # another reply on the same connection
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
