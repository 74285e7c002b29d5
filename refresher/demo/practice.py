"""Three vendors on loopback, to practise with: each answers as its document says, with tokens that live for seconds.

Each has its own port, as they have their own hosts. `GET /api` takes a live token of that vendor and nothing else.
`refresher providers NAME` says where the document stands that each keeps to.
"""

import base64
import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest, digest
from http import HTTPStatus
from typing import ClassVar, Final

from aiohttp import web

from refresher.ports import Clock

HOST: Final = "127.0.0.1"
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody who may ask `vendor` for tokens that live for `lifetime`."""

    vendor: str
    id: str
    lifetime: timedelta
    secret: str = field(default_factory=secrets.token_urlsafe, repr=False)
    username: str = "api@acme.example"
    password: str = field(default_factory=secrets.token_urlsafe, repr=False)


class Vendor(ABC):
    """What the three have in common: clients, the tokens that live, and the API that takes them."""

    token_path: ClassVar[str]

    def __init__(self, clients: Iterable[Client], clock: Clock) -> None:
        self._clients = {client.id: client for client in clients}
        self._clock = clock
        self._live: dict[str, datetime] = {}
        self._key = secrets.token_bytes(32)

    def routes(self) -> list[web.RouteDef]:
        return [web.post(self.token_path, self._token), web.get("/api", self._api)]

    @abstractmethod
    def answer(self, authorization: str, form: Mapping[str, str]) -> web.Response:
        """Answer a token request by its Authorization header and its form."""

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post() if request.content_type == FORM else {}
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        return self.answer(request.headers.get("Authorization", ""), texts)

    async def _api(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and self._live.get(token, self._clock.now()) > self._clock.now():
            return web.json_response({"hello": "world"})
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # RFC 6750 section 3
        return web.Response(status=HTTPStatus.UNAUTHORIZED, headers=headers)

    def known(self, name: str, secret: str) -> Client | None:
        client = self._clients.get(name)
        return client if client is not None and compare_digest(client.secret.encode(), secret.encode()) else None

    def issue(self, client: Client, token: str) -> dict[str, object]:
        """Note `token` as live and return what every answer says of it."""
        now = self._clock.now()
        self._live = {one: ends for one, ends in self._live.items() if ends > now}
        self._live[token] = now + client.lifetime
        return {"access_token": token, "expires_in": int(client.lifetime.total_seconds())}

    def jwt(self, client: Client, **claims: object) -> str:
        now = int(self._clock.now().timestamp())
        life = int(client.lifetime.total_seconds())
        payload = {"aud": client.id, "iat": now, "exp": now + life, "jti": secrets.token_hex(8), **claims}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, payload)]
        return ".".join([*parts, _base64(digest(self._key, ".".join(parts).encode(), "sha256"))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Semansys(Vendor):
    """Password grant, everything in the form; 400, 401 and 403 as the document lists them; refresh tokens used once."""

    token_path = "/connect/token"  # noqa: S105  # a path

    def __init__(self, clients: Iterable[Client], clock: Clock) -> None:
        super().__init__(clients, clock)
        self._refresh: dict[str, str] = {}  # refresh token -> client id: the newest of each login
        self._spent: dict[str, str] = {}  # spent refresh token -> the newest of its login

    def answer(self, authorization: str, form: Mapping[str, str]) -> web.Response:  # noqa: ARG002  # takes no header
        client = self.known(form.get("client_id", ""), form.get("client_secret", ""))
        if client is None:
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="Unauthorized")
        match form.get("grant_type"):
            case "password":
                if form.get("username") != client.username or form.get("password") != client.password:
                    return web.Response(status=HTTPStatus.FORBIDDEN, text="Forbidden")
                return self._granted(client)
            case "refresh_token":
                token = form.get("refresh_token", "")
                if self._refresh.pop(token, "") == client.id:
                    return self._granted(client, token)
                self._refresh.pop(self._spent.get(token, ""), None)  # replayed: the whole login ends
            case _:
                pass
        return web.Response(status=HTTPStatus.BAD_REQUEST, text="Bad Request")

    def _granted(self, client: Client, spent: str = "") -> web.Response:
        refresh_token = secrets.token_urlsafe(8)
        self._refresh[refresh_token] = client.id
        if spent:
            self._spent[spent] = refresh_token
            self._spent |= {old: refresh_token for old, newest in self._spent.items() if newest == spent}
        body = self.issue(client, self.jwt(client))
        return web.json_response(body | {"token_type": "bearer", "refresh_token": refresh_token, "scope": "read write"})


class SmartDocumentor(Vendor):
    """Client credentials in the form; the scope must always be WebAPI."""

    token_path = "/connect/token"  # noqa: S105  # a path

    def answer(self, authorization: str, form: Mapping[str, str]) -> web.Response:  # noqa: ARG002  # takes no header
        client = self.known(form.get("client_id", ""), form.get("client_secret", ""))
        if client is None:
            return self._refused("invalid_client")
        if form.get("grant_type") != "client_credentials":
            return self._refused("unsupported_grant_type")
        if form.get("scope") != "WebAPI":
            return self._refused("invalid_scope")
        body = self.issue(client, secrets.token_urlsafe(32))
        return web.json_response(body | {"token_type": "Bearer", "scope": "WebAPI"})

    def _refused(self, error: str) -> web.Response:
        return web.json_response({"error": error}, status=HTTPStatus.BAD_REQUEST)


class ScreeningEagle(Vendor):
    """Client credentials over Basic of the plain `id:secret`; the answer bears an id_token and a refresh token."""

    token_path = "/api/id/v1/auth/token"  # noqa: S105  # a path

    def answer(self, authorization: str, form: Mapping[str, str]) -> web.Response:
        client = self._basic(authorization)
        if client is None:
            return self._refused(HTTPStatus.UNAUTHORIZED)
        scope = form.get("scope")
        if form.get("grant_type") != "client_credentials" or not scope:
            return self._refused(HTTPStatus.BAD_REQUEST)
        body: dict[str, object] = {"scope": scope, "token_type": "Bearer"}
        body |= self.issue(client, self.jwt(client, scp=scope))
        return web.json_response(body | {"id_token": self.jwt(client, name="Test"), "refresh_token": self.jwt(client)})

    def _basic(self, authorization: str) -> Client | None:
        scheme, _, encoded = authorization.partition(" ")
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return None
        return self.known(name, secret) if scheme == "Basic" else None

    def _refused(self, status: HTTPStatus) -> web.Response:
        return web.json_response({"error": "Forbidden", "errorDescription": "permission denied"}, status=status)


VENDORS: Final[Mapping[str, type[Vendor]]] = {
    "semansys": Semansys,
    "smartdocumentor": SmartDocumentor,
    "screening-eagle": ScreeningEagle,
}


@asynccontextmanager
async def serve(clients: Iterable[Client], clock: Clock) -> AsyncIterator[Mapping[str, str]]:
    """Serve each vendor of `clients` on a port of the system's choice; give their base URLs by name."""
    clients = tuple(clients)
    urls: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for name in {client.vendor: None for client in clients}:
            vendor = VENDORS[name]([client for client in clients if client.vendor == name], clock)
            app = web.Application()
            app.add_routes(vendor.routes())
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, HOST, 0).start()
            urls[name] = f"http://{HOST}:{runner.addresses[0][1]}"
        yield urls
