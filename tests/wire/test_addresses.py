"""No connection goes where no request may go, whatever name led there."""

import socket

import pytest

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest
from tests.fakes.peer import peer

METADATA = "169.254.169.254"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(_host: object, port: int, *_args: object, **_named: object) -> list[tuple[object, ...]]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if family is socket.AF_INET6 else (address, port))
            for family, address in zip(families, addresses, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def why(wire, url: str) -> tuple[str, bool]:
    with pytest.raises(TransportError) as caught:
        await wire.send(HttpRequest(url=url, body=b"client_secret=s"))
    return caught.value.why, caught.value.sent


FORBIDDEN = ("a link-local, multicast or unspecified address", False)


@pytest.mark.parametrize(
    "host",
    [
        METADATA,
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[fe80::1]",
        "[ff02::1]",
        "[::]",
        "0.0.0.0",  # noqa: S104  # nothing binds to it
        "224.0.0.1",
        "0xa9fea9fe",  # the resolver reads it as an address
    ],
)
@pytest.mark.leak("L26")
async def test_a_forbidden_address_gets_no_connection(wired, host):
    assert await why(wired(), f"http://{host}/latest/meta-data") == FORBIDDEN


@pytest.mark.parametrize("addresses", [(METADATA,), ("fe80::1", METADATA)])
@pytest.mark.leak("L26")
async def test_a_name_that_leads_there_gets_none_either(wired, monkeypatch, addresses):
    resolve_to(monkeypatch, *addresses)

    assert await why(wired(), "http://id.example.com/token") == FORBIDDEN


@pytest.mark.leak("L26")
async def test_the_address_that_is_connected_to_is_the_one_that_was_judged(wired, monkeypatch):
    async with peer() as server:
        resolve_to(monkeypatch, METADATA, "127.0.0.1")
        reply = await wired().send(HttpRequest(url=server.url(host="rebinding.example.com")))

    assert (reply.status, server.connections) == (200, 1)


@pytest.mark.fault("F42")
@pytest.mark.answer("V36")
async def test_a_name_that_nobody_knows(wired, monkeypatch):
    def unknown(*_args: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert await why(wired(), "http://id.example.com/token") == ("name not found", False)
