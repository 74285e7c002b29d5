"""Every recorded reply, played over a socket: what the wire hands on is judged as the line says."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest, HttpResponse
from refresher.http import Wire
from refresher.providers import unanswered
from tests.fakes.corpus_server import CorpusServer, corpus_server
from tests.providers.corpus import LINES, Line

MEMORY = 24 * 1024  # KiB that all lines together may add; one body has 5 MiB, one inflates to 32 MiB


@dataclass(frozen=True)
class Played(Line):
    """A line whose reply is the one that came over the wire."""

    came: HttpResponse

    @property
    def response(self) -> HttpResponse:
        return self.came


@pytest.fixture
async def server() -> AsyncIterator[CorpusServer]:
    async with corpus_server({line.id: line for line in LINES}) as server:
        yield server


async def play(line: Line, server: CorpusServer, wire: Wire) -> dict[str, object]:
    try:
        came = await wire.send(HttpRequest(url=server.url(line), body=b"grant_type=client_credentials"))
    except TransportError as error:
        return line.shown(unanswered(error))
    return line.shown(Played(line.raw, came).interpret())


@pytest.mark.fault("F29", "F38", "F39", "F40", "F41", "F47")
async def test_every_line_comes_out_as_recorded(server: CorpusServer, measured):
    short, long = (Wire(deadline=timedelta(seconds=one), keepalive=timedelta()) for one in (0.6, 20))  # it closes
    before = peak_memory(reset=True)
    try:
        differences = {
            line.id: (line.expected, shown)
            for line in LINES
            if (shown := await play(line, server, short if "play" in line.context else long)) != line.expected
        }
    finally:
        await short.aclose()
        await long.aclose()
    grown = peak_memory() - before
    measured(f"{len(LINES)} replies, {len(differences)} otherwise than recorded, {grown / 1024:.1f} MB more memory")
    assert differences == {}
    assert server.requests == len(LINES)
    assert grown < MEMORY


def peak_memory(*, reset: bool = False) -> int:
    """Return the most memory that this process held, in KiB, since the start or the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
