"""The address that a browser comes back to: one answer, and nothing of it in the page."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from refresher.consent import PortTakenError, loopback
from refresher.consent.loopback import LIMIT, Loopback, listening
from refresher.core.secret import Secret

OURS = b"GET /callback?code=the-code HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def judge(target: str) -> Secret | None:
    return Secret("the-code") if target == "/callback?code=the-code" else None


@pytest.fixture
async def back() -> AsyncIterator[Loopback]:
    async with listening(0, judge) as one:
        yield one


async def ask(back: Loopback, request: bytes) -> bytes:
    """Send `request` and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", back.port)
    writer.write(request)
    try:
        return await reader.read()
    except ConnectionResetError:  # the rest of a request that is too large was not read
        return b""
    finally:
        await hang_up(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_the_answer_is_taken_and_the_page_holds_nothing_of_it(back):
    page = await ask(back, OURS)
    assert back.answer.result() == Secret("the-code")
    head, _, body = page.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    for header in (
        b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        b"Referrer-Policy: no-referrer",
        b"Cache-Control: no-store",
        b"Connection: close",
    ):
        assert header in head.split(b"\r\n")
    assert b"You can close this window" in body
    assert b"the-code" not in page
    assert b"<script" not in page


async def test_one_answer_is_taken_and_no_second_one(back):
    await ask(back, OURS)
    assert (await ask(back, OURS)).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /favicon.ico HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /callback?code=another HTTP/1.1\r\n\r\n", b"404"),
        (OURS.replace(b"GET", b"POST"), b"400"),
        (OURS.replace(b"GET", b"HEAD"), b"400"),
        (b"GET /callback?code=the-code\r\n\r\n", b"400"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"\x16\x03\x01 a TLS handshake \r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_answer_is_told_so_and_changes_nothing(back, request_, status):
    assert (await ask(back, request_)).startswith(b"HTTP/1.1 " + status)
    assert not back.answer.done()
    assert (await ask(back, OURS)).startswith(b"HTTP/1.1 200")


async def test_a_head_without_end_is_cut_off(back):
    reply = await ask(back, b"GET /" + b"a" * LIMIT)
    assert reply.startswith(b"HTTP/1.1 431") or not reply
    assert not back.answer.done()


async def test_connections_that_say_nothing_or_go_away_are_let_go(back, monkeypatch):
    _, gone = await asyncio.open_connection("127.0.0.1", back.port)
    await hang_up(gone)
    monkeypatch.setattr(loopback, "HEAD_S", 0)
    assert await ask(back, b"") == b""
    assert (await ask(back, OURS)) == b"", "no time at all was left for it"


async def test_the_end_closes_the_port_and_what_is_open():
    async with listening(0, judge) as back:
        reader, writer = await asyncio.open_connection("127.0.0.1", back.port)
        await ask(back, b"GET / HTTP/1.1\r\n\r\n")  # by now the first one is served too
    async with asyncio.timeout(loopback.HEAD_S / 2):
        assert await reader.read() == b""
    await hang_up(writer)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", back.port)


async def test_a_port_that_is_taken(back):
    with pytest.raises(PortTakenError, match=f"127.0.0.1:{back.port}: another program listens there"):
        async with listening(back.port, judge):
            pass


async def test_a_port_that_can_not_be_listened_on(monkeypatch):
    async def refuse(*_words, **_more):
        raise PermissionError

    monkeypatch.setattr(asyncio, "start_server", refuse)
    with pytest.raises(PortTakenError, match="it can't be listened on"):
        async with listening(80, judge):
            pass
