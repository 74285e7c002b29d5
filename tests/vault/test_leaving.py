"""A connection to a node that serves nobody is not kept: behind the address there may be another."""

import pytest

from refresher.core.model import HttpRequest
from refresher.vault.leaving import Leaving
from tests.fakes.peer import peer

ASKED = 6


@pytest.mark.parametrize(
    ("status", "connections"),
    [(200, 1), (400, 1), (403, 1), (404, 1), (429, 1), (307, 5), (472, 5), (473, 5), (500, 5), (501, 5), (503, 5)],
)
async def test_who_serves_nobody_is_left(wire, status, connections):
    reply = f"HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    async with peer(lambda _peer: reply) as server:
        one = Leaving(wire)
        for _ in range(ASKED):
            await one.send(HttpRequest(method="GET", url=server.url()))
        assert server.connections == connections
