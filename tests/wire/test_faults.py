"""Servers that drip, hang, break off or never end, and names that nobody resolves: each ends, and holds up nobody."""

import asyncio
import gzip
import socket
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from refresher import connector
from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest
from refresher.http import MAX_BODY, Wire
from refresher.providers import interpret
from tests.core.builders import a_job
from tests.fakes.peer import OK, listening, peer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def dripping(first: bytes, drop: bytes):
    """Serve `first`, then `drop` every 20 ms; note when the client let go."""
    gone = asyncio.Event()

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            while not writer.is_closing():
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            gone.set()
            writer.close()

    return serve, gone


DRIPS = {
    "status": (b"H", b"T"),
    "headers": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "more headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "body": (HEAD, b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "interim": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}


@pytest.mark.fault("F38")
@pytest.mark.parametrize("drip", DRIPS)
async def test_what_drips_ends_at_the_deadline_and_its_connection_is_closed(wired, drip, measured):
    serve, gone = dripping(*DRIPS[drip])
    async with listening(serve) as port:
        began = time.monotonic()
        with pytest.raises(TransportError) as caught:
            await wired(deadline=1).send(HttpRequest(url=f"http://127.0.0.1:{port}/"))
        took = time.monotonic() - began
        async with asyncio.timeout(10):
            await gone.wait()

    measured(f"ended after {took:.2f} s of 1 s")
    assert caught.value.code in ("deadline", "transport"), "the second where there are more headers than anybody sends"
    assert took < 15


@pytest.mark.fault("F39")
async def test_what_never_answers_is_let_go_of(wired):
    asked, gone = 0, asyncio.Semaphore(0)

    async def serve(reader, writer):
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        await reader.read()
        gone.release()
        writer.close()

    async with listening(serve) as port:
        wire = wired(deadline=4)

        async def hangs():
            with pytest.raises(TransportError, match="no whole reply within 4 s"):
                await wire.send(HttpRequest(method="GET", url=f"http://127.0.0.1:{port}/"))

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(hangs())
        async with asyncio.timeout(10):
            for _ in range(asked):
                await gone.acquire()
    assert asked == 50


@pytest.mark.fault("F44")
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200", HEAD, HEAD + b'{"access_token":'], ids=len)
async def test_a_reset_in_the_middle_may_have_been_received(wired, first, measured):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await writer.drain()
        reset = struct.pack("ii", 1, 0)  # linger for no time: RST instead of FIN
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()

    async with listening(serve) as port:
        with pytest.raises(TransportError) as caught:
            await wired().send(HttpRequest(url=f"http://127.0.0.1:{port}/"))

    measured(f"reset after {len(first)} bytes of the reply: sent={caught.value.sent}, {caught.value.why}")
    assert (caught.value.code, caught.value.sent) == ("transport", True)
    assert caught.value.why in ("connection lost", "the reply broke off")


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
    "an extension of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 50_000),
    "chunks of one byte": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
    "a header": (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 50_000),
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 50_000),
    "heads in a body": (b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" * 2000),
}


@pytest.mark.fault("F38", "F40")
@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_never_ends_is_cut_long_before_its_deadline(wired, kind):
    first, more = ENDLESS[kind]
    sent = 0

    async def serve(reader, writer):
        nonlocal sent
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            while not writer.is_closing():
                writer.write(more)
                sent += len(more)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with listening(serve) as port:
        request = HttpRequest(url=f"http://127.0.0.1:{port}/")
        async with asyncio.timeout(50):
            try:
                came = (await wired(deadline=60).send(request)).truncated
            except TransportError as error:
                came = error.code == "transport"

    assert came
    assert sent < connector.MOST + 16 * 1024 * 1024, "and what the kernel holds"


async def test_the_bound_is_of_one_reply_and_not_of_its_connection(wired):
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (MAX_BODY, b"x" * MAX_BODY)
    async with peer(lambda _: large) as server:
        wire = wired()
        for _ in range(2 * connector.MOST // MAX_BODY):
            assert len((await wire.send(HttpRequest(url=server.url()))).body) == MAX_BODY

    assert server.connections == 1


def peak_kib(*, reset: bool = False) -> int:
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


@pytest.mark.fault("F40")
@pytest.mark.parametrize("kind", ["a gzip bomb of a gigabyte", "100 MB announced", "100 MB unannounced"])
async def test_a_large_reply_costs_next_to_nothing(kind, measured):
    bomb = kind.startswith("a gzip")
    body = gzip.compress(b"\0" * (32 << 20), mtime=0) * 32 if bomb else b"x" * 65_536
    head = b"HTTP/1.1 200 OK\r\n"
    head += b"Content-Encoding: gzip\r\n" if bomb else b""
    head += b"Content-Length: 104857600\r\n" if kind.endswith(" announced") else b""

    async def serve(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + b"\r\n" + body)
            for _ in range(0 if bomb else 1600):
                await writer.drain()
                writer.write(body)
        except ConnectionError:
            pass
        finally:
            writer.close()

    wire = Wire(deadline=timedelta(seconds=30), keepalive=timedelta())
    async with peer() as server, listening(serve) as port:
        await wire.send(HttpRequest(url=server.url()))  # all that is loaded at the first use
        before, began = peak_kib(reset=True), time.process_time()
        came = await wire.send(HttpRequest(url=f"http://127.0.0.1:{port}/"))
        verdict = interpret(came, a_job(), sent_at=datetime.now(UTC))
        cpu, grown = time.process_time() - began, peak_kib() - before
    await wire.aclose()

    measured(f"{cpu:.2f} s of CPU, {grown / 1024:.1f} MB more memory, {verdict.error}")
    assert (verdict.kind, verdict.error) == ("malformed", "too_large")
    assert cpu < 1
    assert grown < 16 * 1024


class Resolver:
    """The system's resolver for names below `.test`; `addresses` by name, and what hangs until `release`."""

    def __init__(self, monkeypatch):
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.release = threading.Event()
        self._system = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self.getaddrinfo)

    def getaddrinfo(self, host, port, *args, **named):
        name = host.decode() if isinstance(host, bytes) else str(host)
        if not name.endswith(".test"):
            return self._system(host, port, *args, **named)
        self.asked.append(name)
        if name.startswith("hangs"):
            self.release.wait(60)
        if name not in self.addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "CANARY")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in self.addresses[name]]


@pytest.fixture
def resolver(monkeypatch):
    one = Resolver(monkeypatch)
    yield one
    one.release.set()


@pytest.mark.fault("F42")
async def test_names_that_hang_hold_up_no_other_and_nobody_who_needs_a_thread(wired, resolver, measured):
    good = [f"good-{number}.test" for number in range(3)]
    resolver.addresses = {name: ["127.0.0.1"] for name in good}
    async with peer() as server:
        wire, patient = wired(deadline=6), wired(deadline=60)

        async def hangs(number):
            with pytest.raises(TransportError) as caught:
                await wire.send(HttpRequest(url=f"http://hangs-{number}.test/"))
            return caught.value.code, caught.value.sent

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(hangs(number % 40)) for number in range(80)]
            await asyncio.sleep(0)
            took = []
            for name in good:
                began = time.monotonic()
                reply = await patient.send(HttpRequest(url=server.url(host=name)))
                in_a_thread = await asyncio.to_thread(len, "abc")
                took.append(time.monotonic() - began)
            assert not any(task.done() for task in tasks), "they still hang"

    measured(f"80 requests to 40 names that hang for 6 s: others took {', '.join(f'{one:.3f}' for one in took)} s")
    assert (reply.status, in_a_thread) == (200, 3)
    assert min(took) < 1, "what hangs would hold up each of them; a busy machine holds up one or the other"
    assert {task.result() for task in tasks} == {("deadline", False)}
    assert sorted(resolver.asked) == sorted([*(f"hangs-{n}.test" for n in range(40)), *good]), "each name once"


@pytest.mark.fault("F42")
async def test_a_resolver_that_fails_sent_nothing(wired, resolver):
    with pytest.raises(TransportError) as caught:
        await wired().send(HttpRequest(url="http://nowhere.test/"))

    assert (caught.value.why, caught.value.sent) == ("name not found", False)
    assert resolver.asked == ["nowhere.test"]


@pytest.mark.fault("F43")
async def test_a_host_that_moved_is_found_at_its_new_address(wired, resolver, monkeypatch):
    assert connector.KEPT_NAMES <= 60
    monkeypatch.setattr(connector, "KEPT_NAMES", 0.2)
    resolver.addresses["moves.test"] = ["127.0.0.1"]
    moved = asyncio.Event()

    async def new_home(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        moved.set()
        writer.write(OK)
        writer.close()

    wire = wired(keepalive=0)
    async with peer() as server:
        there = await asyncio.start_server(new_home, "127.0.0.2", server.port)
        request = HttpRequest(method="GET", url=server.url(host="moves.test"))
        await wire.send(request)
        assert not moved.is_set()
        resolver.addresses["moves.test"] = ["127.0.0.2"]
        async with asyncio.timeout(20):
            while not moved.is_set():
                assert (await wire.send(request)).status == 200
        there.close()
        await there.wait_closed()
