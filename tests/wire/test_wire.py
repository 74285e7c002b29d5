"""One exchange: what goes out, what comes back, and where it stops."""

import asyncio
import gzip
import time

import pytest

from refresher import connector, http, tls
from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest
from tests.fakes.peer import OK, Peer, listening, peer


def reply(status: str = "200 OK", body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.leak("L4")
async def test_a_reply_comes_as_it_was_sent(wired):
    body = gzip.compress(b'{"access_token":"x"}')
    sent = reply("401 No", body, "Content-Encoding: gzip", "X-Two: a", "x-two: b", "Set-Cookie: a=b")
    async with peer(lambda _: sent) as server:
        got = await wired().send(HttpRequest(url=server.url()))

    assert (got.status, got.body, got.truncated) == (401, body, False)
    assert got.header("content-encoding") == ("gzip",)
    assert got.header("x-two") == ("a", "b")


async def test_a_request_carries_what_it_was_given_and_no_more(wired):
    headers = (("authorization", "Basic eDp5"), ("accept", "application/json"))
    async with peer() as server:
        await wired().send(HttpRequest(url=server.url("/a%20b?c=d"), headers=headers, body=b"grant_type=x"))

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    named = {line.partition(":")[0].lower() for line in lines}
    assert request_line == "POST /a%20b?c=d HTTP/1.1"
    assert body == b"grant_type=x"
    assert "authorization: basic edp5" in head.decode().lower()
    assert named == {"host", "authorization", "accept", "accept-encoding", "connection", "user-agent", "content-length"}


@pytest.mark.fault("F24")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.answer("V6")
@pytest.mark.leak("L17")
async def test_no_redirect_is_followed(wired, status, measured):
    async with peer() as other, peer(lambda _: reply(f"{status} There", b"", f"Location: {other.url()}")) as server:
        got = await wired().send(HttpRequest(url=server.url(), body=b"client_secret=s"))

    measured(f"{status}: {other.connections} connections to the other host, {len(other.read)} bytes")
    assert got.status == status
    assert (len(server.requests), other.connections) == (1, 0)


@pytest.mark.leak("L2")
async def test_no_cookie_is_kept(wired):
    async with peer(lambda _: reply("200 OK", b"{}", "Set-Cookie: session=1; Path=/")) as server:
        wire = wired()
        await wire.send(HttpRequest(url=server.url()))
        await wire.send(HttpRequest(url=server.url()))

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.leak("L14", "L15", "L16")
async def test_nothing_of_the_environment_steers_it(wired, monkeypatch, tmp_path):
    async with peer() as trap, peer() as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, trap.url(""))
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login trapped password trapped\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        tls._context.cache_clear()  # one that was made before the trap stood proves nothing
        await wired().send(HttpRequest(url=server.url()))

    assert trap.connections == 0
    assert b"authorization" not in server.requests[0].lower()
    assert not (tmp_path / "keys").exists()


@pytest.mark.fault("F40")
@pytest.mark.parametrize(("size", "truncated"), [(100, False), (101, True), (100_000, True)])
async def test_a_body_is_read_up_to_the_limit(wired, size, truncated):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
    async with peer(lambda _: chunked) as server:
        got = await wired(max_body=100).send(HttpRequest(url=server.url()))

    assert (got.body, got.truncated) == (b"x" * 100, truncated)


@pytest.mark.fault("F40")
async def test_a_body_that_announces_too_much_is_not_read(wired):
    async with peer(lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n") as server:
        got = await wired(max_body=100).send(HttpRequest(url=server.url()))

    assert (got.body, got.truncated) == (b"", True)


async def test_a_connection_is_kept_and_reused(wired):
    async with peer() as server:
        wire = wired()
        for _ in range(3):
            await wire.send(HttpRequest(url=server.url(), body=b"a"))

    assert (server.connections, len(server.requests)) == (1, 3)


async def test_without_keepalive_each_request_has_its_connection(wired):
    async with peer() as server:
        wire = wired(keepalive=0)
        for _ in range(3):
            await wire.send(HttpRequest(url=server.url(), body=b"a"))

    assert server.connections == 3
    assert b"connection: close" in server.requests[0].lower()


async def test_no_more_connections_are_kept_than_may_be(wired):
    async with peer() as one, peer() as other:
        wire = wired(kept=1)
        for server in (one, other, other, one, other):
            await wire.send(HttpRequest(url=server.url(), body=b"a"))

    assert (one.connections, other.connections) == (1, 3)


async def test_a_connection_that_grew_old_is_not_kept(wired, monkeypatch):
    monkeypatch.setattr(connector, "AGE", 0.0)
    async with peer() as server:
        wire = wired()
        for _ in range(3):
            await wire.send(HttpRequest(url=server.url(), body=b"a"))

    assert server.connections == 3


async def test_a_reply_that_nobody_asked_for_is_not_that_to_the_next_request(wired, monkeypatch):
    more, lines = asyncio.Event(), []
    note = http._note_connection
    monkeypatch.setattr(http, "_note_connection", lambda line: (lines.append(line), note(line)))

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(body=b"1"))
        await more.wait()
        writer.write(reply(body=b"of somebody else"))
        await reader.read()
        writer.close()

    async with listening(talkative) as port:
        wire, there = wired(), HttpRequest(method="GET", url=f"http://127.0.0.1:{port}/")
        bodies = [(await wire.send(there)).body]
        more.set()
        async with asyncio.timeout(5):
            while not lines[0].is_spoiled:  # noqa: ASYNC110  # nothing tells when it was read
                await asyncio.sleep(0)
        bodies.append((await wire.send(there)).body)

    assert bodies == [b"1", b"1"]


def _broken_off(server: Peer) -> bytes | None:
    """Answer the first request; of the next nothing comes, or half."""
    return OK if len(server.requests) == 1 else None if server.requests[-1].endswith(b"none") else OK[:20]


@pytest.mark.parametrize(
    ("keepalive", "body", "stale"), [(60, b"none", True), (60, b"half", False), (0, b"none", False)]
)
async def test_a_kept_connection_that_ended_before_anything_came_is_told_apart(wired, keepalive, body, stale):
    async with peer(_broken_off) as server:
        wire = wired(deadline=3 if body == b"half" else 20, keepalive=keepalive)
        await wire.send(HttpRequest(url=server.url(), body=b"a"))
        with pytest.raises(TransportError) as caught:
            await wire.send(HttpRequest(url=server.url(), body=body))

    assert (caught.value.sent, caught.value.stale) == (True, stale)


@pytest.mark.fault("F44")
async def test_a_post_that_was_lost_is_not_sent_again(wired):
    async with peer(lambda server: OK if len(server.requests) == 1 else None) as server:
        wire = wired()
        await wire.send(HttpRequest(url=server.url(), body=b"a"))
        with pytest.raises(TransportError) as caught:
            await wire.send(HttpRequest(url=server.url(), body=b"b"))

    assert (caught.value.code, caught.value.why, caught.value.sent) == ("transport", "connection lost", True)
    assert [request[-1:] for request in server.requests] == [b"a", b"b"]


@pytest.mark.answer("V35")
async def test_a_refused_connection_sent_nothing(wired):
    async with peer() as gone:
        pass
    with pytest.raises(TransportError) as caught:
        await wired().send(HttpRequest(url=gone.url()))

    assert (caught.value.why, caught.value.sent) == ("connection refused", False)


@pytest.mark.fault("F39")
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # large enough to fill every buffer
async def test_the_deadline_spans_a_server_that_reads_nothing(wired):
    stopped = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stopped.wait()
        writer.close()

    async with listening(deaf) as port:
        began = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await wired(deadline=2).send(HttpRequest(url=f"http://127.0.0.1:{port}/", body=b"x" * 8_000_000))
        stopped.set()

    assert time.monotonic() - began < 15
    assert (caught.value.code, caught.value.sent) == ("deadline", True)


async def test_the_deadline_spans_the_wait_for_a_connection(wired):
    asked, stopped = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await stopped.wait()
        writer.close()

    async with listening(slow) as port, asyncio.TaskGroup() as group:
        wire = wired(deadline=4, connections=1)
        url = f"http://127.0.0.1:{port}/"

        async def fails() -> TransportError:
            with pytest.raises(TransportError) as caught:
                await wire.send(HttpRequest(method="GET", url=url))
            return caught.value

        first = group.create_task(fails())
        await asked.wait()
        wire._deadline = 0.1  # the second one's: it is over before the first one lets go of the connection
        second = await fails()
        await first
        stopped.set()

    assert (first.result().code, first.result().sent) == ("deadline", True)
    assert (second.code, second.sent) == ("deadline", False)


@pytest.mark.parametrize(
    "header", [("x-vault-token", "hvs.CANARY\n"), ("authorization", "B\u00e9 CANARY"), ("x\r\n", "")]
)
@pytest.mark.leak("L6")
async def test_a_header_that_none_may_be_is_refused_unquoted(wired, header):
    async with peer() as server:
        with pytest.raises(TransportError) as caught:
            await wired().send(HttpRequest(url=server.url(), headers=(header,)))

    assert caught.value.sent is False
    assert "CANARY" not in f"{caught.value!r} {caught.value}"
    assert server.connections == 0
