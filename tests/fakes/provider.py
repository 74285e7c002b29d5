"""A token endpoint in memory, for any number of hosts and clients: ports.Http with a provider's habits and faults.

It may issue single-use refresh tokens, and then revokes the whole family when a spent one comes back (RFC 9700 section
4.14.2). Clients are told apart by the `client_id` of the form.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest, HttpResponse
from tests.fakes.clock import VirtualClock
from tests.fakes.http import answer

DEADLINE = timedelta(seconds=20)


@dataclass(frozen=True)
class Asked:
    """One token request as it came in."""

    at: datetime
    host: str
    client: str
    grant: str
    refresh_token: str | None = None


@dataclass
class Client:
    """What the provider remembers of one client. `delivered`: the newest refresh token whose answer arrived."""

    serial: int = 0
    valid: str | None = None
    spent: list[str] = field(default_factory=list)
    revoked: bool = False
    delivered: str | None = None
    under_way: int = 0


class FakeProvider:
    """Grants whatever is asked for, unless `refuse` says otherwise.

    `refuse` is called with each request and may return a response or an error instead of a token. `hanging`: hosts that
    never answer. `lose_answers`: so many tokens are issued and their answers lost. `latency`: how long a token takes.
    """

    def __init__(self, clock: VirtualClock, *, lifetime: int = 3600, refreshes: bool = False) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.lifetimes: dict[str, int] = {}
        self.refreshes = refreshes
        self.latency = timedelta()
        self.hanging: set[str] = set()
        self.lose_answers = 0
        self.refuse: Callable[[Asked], HttpResponse | Exception | None] = lambda _asked: None
        self.asked: list[Asked] = []
        self.issued: dict[str, datetime] = {}
        self.clients: dict[str, Client] = defaultdict(Client)
        self.replayed: list[Asked] = []
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0
        self.twice_at_once: list[Asked] = []

    def requests(self, client: str) -> list[Asked]:
        """What `client` asked for, in order."""
        return [asked for asked in self.asked if asked.client == client]

    async def send(self, request: HttpRequest) -> HttpResponse:
        asked = self._read(request)
        client = self.clients[asked.client]
        self.asked.append(asked)
        if client.under_way:
            self.twice_at_once.append(asked)
        self._note(asked.host, client, 1)
        try:
            return await self._serve(asked, client)
        finally:
            self._note(asked.host, client, -1)

    def _note(self, host: str, client: Client, change: int) -> None:
        client.under_way += change
        self.under_way[host] += change
        self.most[host] = max(self.most[host], self.under_way[host])
        self.most_in_all = max(self.most_in_all, sum(self.under_way.values()))

    async def _serve(self, asked: Asked, client: Client) -> HttpResponse:
        if asked.host in self.hanging:
            await self.clock.sleep(DEADLINE)
            raise TransportError("deadline", "no whole reply", sent=True)
        await self.clock.sleep(self.latency / 2)
        refused = self.refuse(asked)
        if isinstance(refused, Exception):
            raise refused
        response = refused or self._grant(asked, client)
        await self.clock.sleep(self.latency / 2)
        if self.lose_answers and response.status == 200:
            self.lose_answers -= 1
            raise TransportError("transport", "connection reset", sent=True)
        if response.status == 200:
            client.delivered = client.valid
        return response

    def _grant(self, asked: Asked, client: Client) -> HttpResponse:
        if asked.grant == "refresh_token":
            if asked.refresh_token != client.valid or client.revoked:
                if asked.refresh_token in client.spent:
                    self.replayed.append(asked)
                    client.revoked = True
                return answer(400, {"error": "invalid_grant"})
            client.spent.append(client.valid)
        elif client.valid is not None:
            client.spent.append(client.valid)
        client.serial += 1
        lifetime = self.lifetimes.get(asked.client, self.lifetime)
        token = f"AT-{asked.client}-{client.serial}"
        self.issued[token] = self.clock.now() + timedelta(seconds=lifetime)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}
        if self.refreshes:
            client.valid, client.revoked = f"RT-{asked.client}-{client.serial}", False
            body["refresh_token"] = client.valid
        return HttpResponse(status=200, body=json.dumps(body).encode())

    def _read(self, request: HttpRequest) -> Asked:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        return Asked(
            at=self.clock.now(),
            host=urlsplit(request.url).netloc,
            client=form["client_id"],
            grant=form["grant_type"],
            refresh_token=form.get("refresh_token"),
        )


class Gate:
    """Holds requests back until it is opened: for walks that are under way. Wraps any ports.Http."""

    def __init__(self, http: object) -> None:
        self.http = http
        self.open = asyncio.Event()
        self.held = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.held += 1
        await self.open.wait()
        self.held -= 1
        return await self.http.send(request)
