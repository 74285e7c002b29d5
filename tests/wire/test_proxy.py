"""A proxy is used where a channel names it, tunnels https alone, and sees nothing but the host."""

import pytest

from refresher.core.errors import TransportError
from refresher.core.model import Channel, HttpRequest
from tests.fakes.authority import Authority
from tests.fakes.peer import peer
from tests.fakes.proxy import proxy

SECRET = "basic-and-body-SECRET"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


def request(server, scheme="https"):
    headers = (("authorization", f"Basic {SECRET}"),)
    return HttpRequest(url=server.url(f"/token?q={SECRET}", scheme=scheme), headers=headers, body=SECRET.encode())


async def test_the_request_goes_through_and_the_proxy_reads_the_host_alone(wired, authority):
    async with proxy() as between, peer(tls=authority.server()) as server:
        wire = wired(channel=Channel(ca_file=authority.ca_file, proxy=between.url))
        replies = [await wire.send(request(server)) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert (len(between.heads), server.connections) == (1, 1), "one tunnel is kept for both"
    assert server.read.count(SECRET.encode()) == 6
    assert between.heads[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert SECRET.encode() not in between.heads[0] + between.carried
    assert b"authorization" not in between.heads[0].lower()


async def test_the_clients_certificate_goes_to_the_server_behind_the_proxy(wired, authority):
    cert_file, key_file = authority.issue("refresher")
    async with proxy() as between, peer(tls=authority.server(wants_client=True)) as server:
        files = {"ca_file": authority.ca_file, "cert_file": cert_file, "key_file": key_file}
        reply = await wired(channel=Channel(proxy=between.url, **files)).send(request(server))

    assert reply.status == 200


@pytest.mark.leak("L24")
async def test_the_server_behind_the_proxy_is_checked_as_any(wired, authority):
    async with proxy() as between, peer(tls=authority.server()) as server:
        with pytest.raises(TransportError) as caught:
            await wired(channel=Channel(proxy=between.url)).send(request(server))

    assert (caught.value.why, caught.value.sent) == ("TLS: certificate not trusted", False)
    assert server.requests == []


@pytest.mark.leak("L15")
async def test_nothing_goes_through_that_the_proxy_could_read(wired):
    async with proxy() as between, peer() as server:
        with pytest.raises(TransportError) as caught:
            await wired(channel=Channel(proxy=between.url)).send(request(server, scheme="http"))

    assert (caught.value.why, caught.value.sent) == ("not an https URL, which a proxy would read", False)
    assert (between.heads, server.connections) == ([], 0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "the proxy refuses to connect there"),
        (b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n", "the proxy refuses to connect there"),
        (b"HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:9/\r\n\r\n", "the proxy refuses to connect there"),
        (b"CANARY\r\n\r\n", "not HTTP"),
        (b"", "connection lost"),
    ],
)
async def test_a_proxy_that_does_not_tunnel_gets_no_request(wired, answer, why):
    async with proxy(answer) as between, peer() as server:
        with pytest.raises(TransportError) as caught:
            await wired(channel=Channel(proxy=between.url)).send(request(server))

    assert (caught.value.code, caught.value.why, caught.value.sent) == ("transport", why, False)
    assert SECRET not in str(between.heads)
    assert server.connections == 0


async def test_a_proxy_that_is_away_is_told(wired):
    async with proxy() as gone:
        pass
    with pytest.raises(TransportError) as caught:
        await wired(channel=Channel(proxy=gone.url)).send(HttpRequest(url="https://127.0.0.1:9/"))

    assert (caught.value.why, caught.value.sent) == ("connection refused", False)


@pytest.mark.leak("L26")
async def test_a_proxy_is_not_at_a_forbidden_address(wired):
    with pytest.raises(TransportError) as caught:
        await wired(channel=Channel(proxy="http://169.254.169.254:80")).send(HttpRequest(url="https://127.0.0.1:9/"))

    assert caught.value.why == "a link-local, multicast or unspecified address"
