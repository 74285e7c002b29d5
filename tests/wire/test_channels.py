"""One wire for each channel, and a new one when its files have changed."""

import asyncio
from datetime import timedelta

import pytest

from refresher.channels import GRACE, Channels
from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Channel, HttpRequest
from tests.fakes.authority import Authority
from tests.fakes.clock import VirtualClock
from tests.fakes.peer import OK, listening, peer


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
async def channels(clock):
    spans = {"deadline": timedelta(seconds=5), "keepalive": timedelta(seconds=60)}
    channels = Channels(**spans, clock=clock)
    yield channels
    await channels.aclose()


def channel_of(authority, name="refresher"):
    cert_file, key_file = authority.issue(name)
    return Channel(ca_file=authority.ca_file, cert_file=cert_file, key_file=key_file)


class Names:
    """Notes whom the certificates of its callers name."""

    def __init__(self):
        self.seen = []

    async def serve(self, reader, writer):
        shown = writer.get_extra_info("peercert")
        while await reader.readuntil(b"\r\n\r\n"):
            self.seen.append((shown["subject"][0][0][1], shown["serialNumber"]))
            writer.write(OK)


async def send(channels, port, channel):
    request = HttpRequest(method="GET", url=f"https://127.0.0.1:{port}/", channel=channel)
    return (await channels.send(request)).status


async def test_each_channel_has_its_own_wire_and_keeps_it(channels, authority):
    one, other = channel_of(authority, "one"), channel_of(authority, "other")
    async with peer(tls=authority.server(wants_client=True)) as server, peer() as plain:
        for channel in (one, other, one, other):
            assert await send(channels, server.port, channel) == 200
        for _ in range(2):
            await channels.send(HttpRequest(url=plain.url()))
    assert (server.connections, plain.connections) == (2, 1)


async def test_only_what_may_be_repeated_goes_over_a_connection_that_was_kept(clock):
    channels = Channels(deadline=timedelta(seconds=5), keepalive=timedelta(), clock=clock)
    async with peer() as server:
        for repeatable in (True, False, True, False, True):
            await channels.send(HttpRequest(url=server.url(), repeatable=repeatable))
    await channels.aclose()

    assert server.connections == 3
    closes = [b"connection: close" in request.lower() for request in server.requests]
    assert closes == [False, True, False, True, False]


@pytest.mark.fault("F46")
async def test_a_renewed_certificate_is_used_by_the_next_request(channels, authority, measured):
    names, channel = Names(), channel_of(authority)
    async with listening(names.serve, authority.server(wants_client=True)) as port:
        for _ in range(2):
            await send(channels, port, channel)
        assert channel_of(authority) == channel
        await send(channels, port, channel)

    serials = [serial for _, serial in names.seen]
    measured(f"the renewed certificate was shown by request {serials.index(serials[-1]) - 1} after its renewal")
    assert serials[0] == serials[1] != serials[2]


@pytest.mark.fault("F46")
async def test_a_renewed_ca_file_is_used_by_the_next_request(channels, authority):
    channel = Channel(ca_file=authority.ca_file)
    async with peer(tls=authority.server()) as server:
        assert await send(channels, server.port, channel) == 200
    renewed = Authority(authority.folder)
    async with peer(tls=renewed.server()) as server:
        assert await send(channels, server.port, channel) == 200


async def test_a_request_under_way_ends_on_the_wire_that_it_began_on(channels, authority):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if not asked.is_set():  # the first of the two
            asked.set()
            await go_on.wait()
        writer.write(OK)
        await reader.read()
        writer.close()

    channel = channel_of(authority)
    async with listening(slow, authority.server(wants_client=True)) as port, asyncio.TaskGroup() as group:
        first = group.create_task(send(channels, port, channel))
        await asked.wait()
        channel_of(authority)
        assert await send(channels, port, channel) == 200
        assert (first.done(), len(channels._retired)) == (False, 1)
        go_on.set()

    assert first.result() == 200
    assert not channels._retired


@pytest.mark.fault("F46")
async def test_half_of_a_renewal_is_waited_for_and_then_the_jobs_trouble(channels, clock, authority):
    channel = channel_of(authority)
    async with peer(tls=authority.server(wants_client=True)) as server, peer() as plain:
        await send(channels, server.port, channel)
        other_cert, _ = authority.issue("other")
        channel.cert_file.write_bytes(other_cert.read_bytes())
        assert await send(channels, server.port, channel) == 200
        await clock.advance(GRACE)
        for _ in range(2):
            with pytest.raises(UnreadableReferenceError, match="the private key is not that of the certificate"):
                await send(channels, server.port, channel)
        assert len(server.requests) == 2
        assert (await channels.send(HttpRequest(url=plain.url()))).status == 200, "nobody else's trouble"
        channel_of(authority)
        assert await send(channels, server.port, channel) == 200


async def test_a_channel_that_never_worked_has_no_grace(channels, authority):
    channel = Channel(ca_file=authority.folder / "nowhere.pem")
    async with peer(tls=authority.server()) as server:
        with pytest.raises(UnreadableReferenceError, match="there is no such file"):
            await send(channels, server.port, channel)

    assert server.connections == 0


async def test_the_usual_wire_goes_on_as_it_was(clock, authority):
    spans = {"deadline": timedelta(seconds=5), "keepalive": timedelta(seconds=60)}
    channels = Channels(**spans, clock=clock, usual=Channel(ca_file=authority.ca_file))
    async with peer(tls=authority.server()) as server:
        authority.ca_file.write_text("broken")
        for _ in range(2):
            assert await send(channels, server.port, None) == 200
            await clock.advance(GRACE)
    await channels.aclose()


@pytest.mark.answer("V38")
def test_a_usual_wire_that_can_not_be_is_told_at_once(clock, authority):
    spans = {"deadline": timedelta(seconds=5), "keepalive": timedelta(seconds=60)}
    authority.ca_file.unlink()
    with pytest.raises(UnreadableReferenceError, match="there is no such file"):
        Channels(**spans, clock=clock, usual=Channel(ca_file=authority.ca_file))
