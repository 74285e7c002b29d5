"""The wire: one request, one total deadline, one size limit.

Rules of this module:
- It is the only one that knows httpx (the interface) and aiohttp (the connection pool below it, whose cost stays
  flat however many hosts there are). Requests go to httpx's transport, not through its client: what that does on top
  (cookies, redirects, authentication) is not wanted here, and takes a third of a request's processor time.
- Nothing of the environment steers it: no proxy, no .netrc, no key log, no cookie kept, no redirect followed.
- Bodies are handed on as they came, not decompressed: whoever judges them sets the limits.
- Every foreign exception becomes a TransportError by one table. Its text never crosses over: it may quote a secret.
"""

import asyncio
import socket
import ssl
from contextlib import aclosing
from contextvars import ContextVar
from datetime import timedelta
from functools import lru_cache
from typing import Final, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

import refresher
from refresher import tls
from refresher.connector import ForbiddenAddressError, Line, connector
from refresher.core.errors import TransportError
from refresher.core.model import Channel, HttpRequest, HttpResponse

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body that are read, the cap of a token reply."""

_HEADERS: Final = (
    ("user-agent", f"refresher/{refresher.__version__}"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
)


# The first row that fits the exception, or what it was raised from, tells why; the last fits everything.
WHY: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((ForbiddenAddressError,), "a link-local, multicast or unspecified address"),
    ((ssl.SSLCertVerificationError, ssl.CertificateError), "TLS: certificate not trusted"),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch), "TLS: certificate not trusted"),
    ((ssl.SSLError, aiohttp.ClientSSLError), "TLS: no handshake"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "name not found"),
    ((aiohttp.ClientHttpProxyError,), "the proxy refuses to connect there"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "not an http or https URL"),
    ((httpx.InvalidURL, httpx.UnsupportedProtocol), "not an http or https URL"),
    ((ConnectionRefusedError,), "connection refused"),
    ((ConnectionError, aiohttp.ServerDisconnectedError, httpx.CloseError), "connection lost"),
    ((aiohttp.ServerTimeoutError, TimeoutError), "connection timed out"),
    ((aiohttp.ClientConnectorError,), "no connection"),
    ((aiohttp.ClientPayloadError,), "the reply broke off"),
    ((aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError), "not HTTP"),
    ((httpx.ProtocolError, httpx.DecodingError), "not HTTP"),
    ((httpx.TimeoutException,), "connection timed out"),
    ((aiohttp.ClientConnectionError, httpx.NetworkError, OSError), "connection failed"),
    ((Exception,), "the request failed"),
)


REFUSED: Final = "TLS: the server refuses the handshake, or the client's certificate"


class _Progress:
    """The connection that a request of ours had: from then on it may have reached the server."""

    __slots__ = ("line",)

    def __init__(self) -> None:
        self.line: Line | None = None

    @property
    def sent(self) -> bool:
        return self.line is not None

    @property
    def stale(self) -> bool:
        return self.line is not None and self.line.is_stale


_progress: ContextVar[_Progress] = ContextVar("_progress")


class Wire:
    """One pool of connections to any number of hosts. Use it on one event loop and close it there.

    `deadline` spans the whole exchange: name, connection, TLS, request, the last byte of the reply. `keepalive`:
    how long an idle connection is kept; zero closes each after its reply, so that no request meets a dead one. `kept`:
    with more than that open, none is kept.
    `channel`: whom to trust, the client's certificate, the proxy. Raises UnreadableReferenceError when one of its files
    can't be used. Through a proxy it speaks https alone, so that the proxy sees nothing but the host.
    """

    def __init__(  # noqa: PLR0913  # what a pool is
        self,
        *,
        deadline: timedelta,
        keepalive: timedelta,
        max_body: int = MAX_BODY,
        channel: Channel | None = None,
        connections: int = 100,
        kept: int = 100,
    ) -> None:
        self._deadline = deadline.total_seconds()
        self._keepalive = keepalive.total_seconds()
        self._max_body = max_body
        channel = channel or Channel()
        self._tls = tls.context(channel)
        self._connections, self._kept = connections, kept
        proxy = httpx.Proxy(channel.proxy) if channel.proxy else None
        self._tunnels = proxy is not None
        self._transport = AiohttpTransport(verify=self._tls, trust_env=False, client=self._session, proxy=proxy)
        self._headers = (*_HEADERS, ("connection", "keep-alive" if keepalive else "close"))

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and return the reply whatever its status; raise TransportError when there is none."""
        progress = _Progress()
        token = _progress.set(progress)
        limit = asyncio.timeout(self._deadline)
        try:
            self._check(request)
            async with limit:
                return await self._exchange(request)
        except TransportError:
            raise
        except Exception as error:  # noqa: BLE001  # nothing foreign may pass: the table's last row takes it
            if limit.expired():
                why = f"no whole reply within {self._deadline:g} s"
                raise TransportError("deadline", why, sent=progress.sent) from None
            raise TransportError("transport", why_of(error), sent=progress.sent, stale=progress.stale) from None
        finally:
            _progress.reset(token)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    def _check(self, request: HttpRequest) -> None:
        """Refuse what no header may hold before a library does so, quoting it, and what a proxy would read."""
        text = "".join([part for header in request.headers for part in header])
        if not (text.isascii() and text.isprintable()):
            raise TransportError("transport", "a header holds a character that no header may hold", sent=False)
        if self._tunnels and not request.url.lower().startswith("https:"):
            raise TransportError("transport", "not an https URL, which a proxy would read", sent=False)

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        own = {name.lower() for name, _ in request.headers}
        headers = [*(one for one in self._headers if one[0] not in own), *request.headers]
        url = httpx.URL(request.url) if "?" in request.url else _url(request.url)  # there a secret may be
        asked = httpx.Request(request.method, url, headers=headers, content=request.body or None)
        reply = await self._transport.handle_async_request(asked)
        came = tuple([(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in reply.headers.raw])
        async with aclosing(cast("httpx.AsyncByteStream", reply.stream)) as stream:
            body = bytearray()
            truncated = _declared_length(came) > self._max_body
            if not truncated:
                async for chunk in stream:
                    body += chunk
                    truncated = len(body) > self._max_body
                    if truncated:
                        break
        return HttpResponse(
            status=reply.status_code,
            headers=came,
            body=bytes(body[: self._max_body]),
            truncated=truncated,
        )

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector(
                self._tls,
                keepalive=self._keepalive,
                connections=self._connections,
                kept=self._kept,
                connected=_note_connection,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("content-type",),
            timeout=aiohttp.ClientTimeout(),
            trust_env=False,
        )


def why_of(error: BaseException) -> str:
    """Tell in words of ours why the wire failed."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    reasons = (getattr(link, "reason", "") for link in chain if isinstance(link, ssl.SSLError))
    if any("_ALERT_" in str(reason) for reason in reasons):  # OpenSSL's name for what the server said
        return REFUSED
    return next(why for kinds, why in WHY if any(isinstance(link, kinds) for link in chain))


_url: Final = lru_cache(maxsize=1024)(httpx.URL)  # to read one is half of making a request


def _note_connection(line: Line) -> None:
    _progress.get().line = line


def _declared_length(headers: tuple[tuple[str, str], ...]) -> int:
    declared = next((value for name, value in headers if name == "content-length"), "")
    return int(declared) if declared.isdecimal() else 0
