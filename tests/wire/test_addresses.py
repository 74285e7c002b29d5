"""No connection goes where no request may go, whatever name led there; and TLS trusts whom it is told to."""

import socket
import ssl

import pytest

from refresher.core.errors import ConfigError, TransportError
from refresher.core.model import HttpRequest
from tests.fakes.peer import peer, server_tls

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
async def test_a_forbidden_address_gets_no_connection(wired, host):
    assert await why(wired(), f"http://{host}/latest/meta-data") == FORBIDDEN


@pytest.mark.parametrize("addresses", [(METADATA,), ("fe80::1", METADATA)])
async def test_a_name_that_leads_there_gets_none_either(wired, monkeypatch, addresses):
    resolve_to(monkeypatch, *addresses)

    assert await why(wired(), "http://id.example.com/token") == FORBIDDEN


async def test_the_address_that_is_connected_to_is_the_one_that_was_judged(wired, monkeypatch):
    async with peer() as server:
        resolve_to(monkeypatch, METADATA, "127.0.0.1")
        reply = await wired().send(HttpRequest(url=server.url(host="rebinding.example.com")))

    assert (reply.status, server.connections) == (200, 1)


async def test_a_name_that_nobody_knows(wired, monkeypatch):
    def unknown(*_args: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert await why(wired(), "http://id.example.com/token") == ("name not found", False)


async def test_a_certificate_of_the_file_is_trusted(wired, tmp_path):
    tls, ca_file = server_tls(tmp_path)
    async with peer(tls=tls) as server:
        reply = await wired(ca_file=ca_file).send(HttpRequest(url=server.url(scheme="https")))

    assert reply.status == 200


async def test_an_unknown_certificate_gets_no_request(wired, tmp_path):
    tls, _ = server_tls(tmp_path)
    async with peer(tls=tls) as server:
        assert await why(wired(), server.url(scheme="https")) == ("TLS: certificate not trusted", False)

    assert server.requests == []


async def test_a_certificate_for_another_host_gets_no_request(wired, tmp_path):
    tls, ca_file = server_tls(tmp_path, host="127.0.0.2")
    async with peer(tls=tls) as server:
        wire = wired(ca_file=ca_file)
        assert await why(wire, server.url(scheme="https")) == ("TLS: certificate not trusted", False)

    assert server.requests == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # naming TLS 1.1 warns: it is what is tested
async def test_tls_before_1_2_gets_no_request(wired, tmp_path):
    tls, ca_file = server_tls(tmp_path)
    tls.set_ciphers("DEFAULT@SECLEVEL=0")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    async with peer(tls=tls) as server:
        wire = wired(ca_file=ca_file)
        assert (await why(wire, server.url(scheme="https")))[1] is False

    assert server.requests == []
    assert (wire._tls.minimum_version, wire._tls.keylog_filename) == (ssl.TLSVersion.TLSv1_2, None)


async def test_a_server_without_tls_gets_no_request(wired):
    async with peer() as server:
        assert (await why(wired(), server.url(scheme="https")))[1] is False

    assert server.requests == []


async def test_a_renewed_ca_file_is_trusted_by_the_next_wire(wired, tmp_path):
    _, ca_file = server_tls(tmp_path)
    wired(ca_file=ca_file)
    tls, ca_file = server_tls(tmp_path)
    async with peer(tls=tls) as server:
        reply = await wired(ca_file=ca_file).send(HttpRequest(url=server.url(scheme="https")))

    assert reply.status == 200


@pytest.mark.parametrize("text", [None, "not a certificate"])
def test_a_ca_file_that_is_none_is_a_mistake_of_the_config(wired, tmp_path, text):
    ca_file = tmp_path / "ca.pem"
    if text is not None:
        ca_file.write_text(text)

    with pytest.raises(ConfigError, match="cannot be read as certificates"):
        wired(ca_file=ca_file)
