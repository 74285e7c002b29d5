"""The table of foreign exceptions: each becomes words of ours, and none of its own."""

import socket
import ssl
from collections.abc import Iterator

import aiohttp
import aiohttp.http_exceptions
import httpx
import pytest

from refresher.connector import ForbiddenAddressError
from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest
from refresher.http import WHY, why_of

TREES = (
    aiohttp.ClientError,
    aiohttp.http_exceptions.HttpProcessingError,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    httpx.CookieConflict,
    OSError,
    ValueError,
)
OURS = {why for _, why in WHY}


def family(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from family(child)


# ValueError and OSError have children in every library that happens to be loaded: those of the wire's own are meant.
HOMES = (
    "aiohttp",
    "builtins",
    "encodings",
    "http",
    "httpcore",
    "httpx",
    "json",
    "multidict",
    "refresher",
    "socket",
    "ssl",
    "urllib",
    "yarl",
)
KINDS = sorted(
    {kind for root in TREES for kind in family(root) if kind.__module__.split(".")[0] in HOMES},
    key=lambda kind: f"{kind.__module__}.{kind.__name__}",
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@pytest.mark.leak("L5")
async def test_every_foreign_exception_becomes_a_transport_error(wired, monkeypatch, kind):
    error = kind.__new__(kind)
    error.args = ("CANARY",)
    wire = wired()

    async def fail(_request: HttpRequest) -> None:
        raise error

    monkeypatch.setattr(wire, "_exchange", fail)
    with pytest.raises(TransportError) as caught:
        await wire.send(HttpRequest(url="http://127.0.0.1/"))

    assert caught.value.why in OURS
    assert "CANARY" not in f"{caught.value!r}{caught.value}"
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (ForbiddenAddressError, "a link-local, multicast or unspecified address"),
        (aiohttp.ClientConnectorCertificateError, "TLS: certificate not trusted"),
        (ssl.SSLCertVerificationError, "TLS: certificate not trusted"),
        (aiohttp.ClientConnectorSSLError, "TLS: no handshake"),
        (aiohttp.ClientConnectorDNSError, "name not found"),
        (socket.gaierror, "name not found"),
        (aiohttp.InvalidUrlClientError, "not an http or https URL"),
        (httpx.UnsupportedProtocol, "not an http or https URL"),
        (ConnectionRefusedError, "connection refused"),
        (aiohttp.ServerDisconnectedError, "connection lost"),
        (ConnectionResetError, "connection lost"),
        (aiohttp.ClientPayloadError, "the reply broke off"),
        (aiohttp.ClientResponseError, "not HTTP"),
        (aiohttp.http_exceptions.BadStatusLine, "not HTTP"),
        (httpx.RemoteProtocolError, "not HTTP"),
        (aiohttp.SocketTimeoutError, "connection timed out"),
        (httpx.PoolTimeout, "connection timed out"),
        (aiohttp.ClientOSError, "connection failed"),
        (KeyError, "the request failed"),
    ],
)
def test_the_table_names_the_cause(kind, why):
    assert why_of(kind.__new__(kind)) == why


def test_what_an_exception_was_raised_from_counts_too():
    outer, inner = httpx.ConnectTimeout("outer"), aiohttp.ServerDisconnectedError()
    outer.__cause__ = inner
    inner.__cause__ = outer  # a ring is no trap

    assert why_of(outer) == "connection lost"
