"""A redirect of Vault's takes no token and no secret to another address."""

import pytest

from refresher.core.secret import Secret
from refresher.core.settings import Auth, Cluster
from refresher.vault.adapter import Adapter
from tests.fakes.peer import peer
from tests.wire.conftest import wired

__all__ = ["wired"]


@pytest.mark.leak("L18")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_the_token_along(wired, status):
    async with peer() as other:
        there = f"HTTP/1.1 {status} There\r\nContent-Length: 0\r\nLocation: {other.url()}\r\n\r\n".encode()
        async with peer(lambda _: there) as server:
            cluster = Cluster(address=server.url(""), auth=Auth(method="token"))
            adapter = Adapter(wired(), cluster, Secret("hvs.CANARY"))
            reply = await adapter.post("/v1/kv/data/p", json={"data": {"access_token": "AT-CANARY"}})

    assert (reply.status, len(server.requests), other.connections) == (status, 1, 0)
    assert b"hvs.CANARY" in server.requests[0]
