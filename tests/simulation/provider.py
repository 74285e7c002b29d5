"""Token endpoints in a simulated world: ports.Http for any number of hosts and clients, with habits and faults.

What a client is, its name says: `cc` asks by client_credentials, `pw` by a password and the single-use refresh tokens
that it is given, `rt` by such refresh tokens alone. A spent one that comes back ends the whole family (RFC 9700 section
4.14.2). Every other host says `Retry-After`.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest, HttpResponse
from tests.fakes.http import answer
from tests.simulation.faults import Faults
from tests.simulation.loop import VirtualLoop

DEADLINE = 20.0  # seconds; of one request, at the defaults
EARLY = 1.0  # seconds; what is said in whole seconds is kept to in whole seconds
PAGE = HttpResponse(status=200, headers=(("content-type", "text/html"),), body=b"<html>Please wait</html>")


@dataclass(slots=True)
class Client:
    """What the provider knows of a client. `serial`: of the newest token; `valid`: the newest refresh token.

    `delivered`: the newest refresh token whose answer arrived. `dies`: when each of the last tokens does, by serial.
    `not_before`: until then it was asked to stay away. `quota`: until then it gets nothing.
    """

    name: str
    single_use: bool
    serial: int = 0
    valid: str = ""
    delivered: str = ""
    revoked: bool = False
    under_way: bool = False
    dies: dict[int, float] = field(default_factory=dict)
    quota: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class Host:
    """`mode`: what everybody is answered while something is wrong there."""

    name: str
    patient: bool  # it says Retry-After
    mode: str = ""
    ends: float = 0.0
    under_way: int = 0
    most: int = 0


class Tally:
    """What providers count."""

    def __init__(self, days: float) -> None:
        self.requests = self.granted = self.failed = self.early = self.twice_at_once = self.most_in_all = 0
        self.by_minute = [0] * (int(days * 24 * 60) + 2)
        self.failed_by_minute = [0] * len(self.by_minute)
        self.kinds: Counter[str] = Counter()
        self.replayed: list[tuple[float, str]] = []  # though the answer with the next one had arrived
        self.declared_replays = 0


class SimulatedProvider:
    """`forgiven(name)`: whether the process that was given the newest refresh token was killed before it was kept."""

    def __init__(self, loop: VirtualLoop, faults: Faults, random: Random, days: float, lifetime: int) -> None:
        self.loop, self.lifetime = loop, lifetime
        self.tally = Tally(days)
        self.clients: dict[str, Client] = {}
        self.hosts: dict[str, Host] = {}
        self.forgiven = lambda _name: False
        self.asks = lambda _name, _refresh_token: None
        self.saw = lambda _what, _name, _more="": None
        self._random = random
        self._draw = random.random
        self._in_all = 0
        chances = ("refused", "lost", "error", "throttled", "malformed", "hangs")
        self._chances = []
        total = 0.0
        for name in chances:
            total += getattr(faults, name)
            self._chances.append((total, name))
        self._any = total

    def consent(self, name: str) -> str:
        """Begin a new family for a client, as a person's consent does; return its first refresh token."""
        client = self.clients[name]
        client.serial += 1
        client.valid = client.delivered = f"RT-{name}-{client.serial}"
        client.revoked = False
        return client.valid

    async def send(self, request: HttpRequest) -> HttpResponse:
        form = dict(pair.split("=", 1) for pair in request.body.decode().split("&"))
        client, host = self.clients[form["client_id"]], self.hosts[request.url.split("/", 3)[2]]
        tally, now = self.tally, self.loop.true
        tally.requests += 1
        minute = min(int(now // 60), len(tally.by_minute) - 1)
        tally.by_minute[minute] += 1
        tally.twice_at_once += client.under_way
        if now < client.not_before - EARLY:
            tally.early += 1
            self.saw("early", client.name)
        self.asks(client.name, form.get("refresh_token", ""))
        client.under_way = True
        host.under_way += 1
        self._in_all += 1
        host.most, tally.most_in_all = max(host.most, host.under_way), max(tally.most_in_all, self._in_all)
        kind = "cancelled"
        try:
            response, kind = await self._serve(form, client, host)
        except TransportError as error:
            kind = error.code
            raise
        finally:
            client.under_way = False
            host.under_way -= 1
            self._in_all -= 1
            tally.kinds[kind] += 1
            if kind == "granted":
                tally.granted += 1
            else:
                tally.failed += 1
                tally.failed_by_minute[minute] += 1
            self.saw(kind, client.name, form.get("refresh_token", ""))
        return response

    async def _serve(self, form: dict[str, str], client: Client, host: Host) -> tuple[HttpResponse, str]:
        mode = host.mode or self._chance()
        if mode == "refused":
            raise TransportError("transport", "connection refused", sent=False)
        if mode == "hangs":
            await asyncio.sleep(DEADLINE)
            raise TransportError("deadline", "no whole reply", sent=True)
        await asyncio.sleep(0.02 + 0.4 * self._draw())
        if self.loop.true < client.quota:
            return self._away(client, client.quota - self.loop.true), "throttled"
        if mode and mode != "lost":
            return self._trouble(mode, client, host)
        response, kind = self._grant(form, client)
        await asyncio.sleep(0.2 * self._draw())
        if kind == "granted":
            if mode == "lost":
                raise TransportError("transport", "connection reset", sent=True)
            client.delivered = client.valid
        return response, kind

    def _chance(self) -> str:
        part = self._draw()
        if part >= self._any:
            return ""
        return next(name for limit, name in self._chances if part < limit)

    def _trouble(self, mode: str, client: Client, host: Host) -> tuple[HttpResponse, str]:
        left = host.ends - self.loop.true if host.mode else 0
        wait = max(left, 1 + (120 if mode == "error" else 300) * self._draw())
        match mode:
            case "error" if host.patient and self._draw() < 0.5:
                return self._away(client, wait, status=503), mode
            case "error":
                return answer(self._random.choice((500, 502, 503)), {"error": "server_error"}), mode
            case "throttled" if host.patient:
                return self._away(client, wait), mode
            case "throttled":
                return answer(429, {"error": "too_many_requests"}), mode
            case "malformed":
                return (PAGE if self._draw() < 0.5 else answer(200, {"status": "ok"})), mode
            case "invalid_client":
                return answer(401, {"error": "invalid_client"}), mode
        raise AssertionError(mode)

    def _away(self, client: Client, seconds: float, *, status: int = 429) -> HttpResponse:
        """Ask to stay away so long: an hour at most is obeyed."""
        wait = min(int(seconds) + 1, 3600)
        client.not_before = self.loop.true + wait
        return answer(status, {"error": "rate_limited"}, retry_after=str(wait))

    def _grant(self, form: dict[str, str], client: Client) -> tuple[HttpResponse, str]:
        if form["grant_type"] == "refresh_token" and (client.revoked or form["refresh_token"] != client.valid):
            if not client.revoked:
                self._replayed(client)
            client.revoked = True
            return answer(400, {"error": "invalid_grant"}), "invalid_grant"
        client.serial += 1
        client.dies[client.serial] = self.loop.true + self.lifetime
        client.dies.pop(client.serial - 8, None)
        body = {"access_token": f"AT-{client.name}-{client.serial}", "token_type": "Bearer"}
        body["expires_in"] = self.lifetime
        if client.single_use:
            client.valid, client.revoked = f"RT-{client.name}-{client.serial}", False
            body["refresh_token"] = client.valid
        return HttpResponse(status=200, body=json.dumps(body).encode()), "granted"

    def _replayed(self, client: Client) -> None:
        """Note that a spent refresh token came back; as a last resort it may, where its successor never arrived."""
        unknown = client.delivered != client.valid or self.forgiven(client.name)
        if client.name.startswith("rt") and unknown:
            self.tally.declared_replays += 1
        else:
            self.tally.replayed.append((self.loop.true, client.name))
