"""Authlib on Flask: JWT-bearer grants (RFC 7523) and clients that prove themselves by a signed JWT, each `jti` once.

Beside them client_credentials and password, the secret in the form or in Basic as it stands. A client has a `jwk` (its
public key) where it signs. A grant's subject must be a user. An assertion may come from a clock that is 5 s off.
"""

import os
import secrets
import time
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant
from flask import Flask, request
from joserfc.jwk import JWKRegistry, OctKey

from tests.servers.harness import World, serve

PATH = "/token"
LEEWAY_S = 5
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GRANTS = ("client_credentials", "password", JWT_BEARER)
PROOFS = ["client_secret_basic", "client_secret_post", "client_assertion_jwt", "none"]
METHODS = {
    "basic": "client_secret_basic",
    "post": "client_secret_post",
    "client_secret_jwt": "client_assertion_jwt",
    "private_key_jwt": "client_assertion_jwt",
    "none": "none",
}


class Client(ClientMixin):
    def __init__(self, client_id: str, known: dict[str, Any]) -> None:
        self.client_id = client_id
        self.known = known

    @property
    def key(self) -> Any:
        return JWKRegistry.import_key(self.known["jwk"]) if "jwk" in self.known else OctKey.import_key(self.secret)

    @property
    def secret(self) -> str:
        return self.known["secret"]

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str | None:
        allowed = self.known["scope"]
        return (scope or allowed) if set((scope or "").split()) <= set(allowed.split()) else None

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == METHODS[self.known["auth"]] and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in GRANTS


class User:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_user_id(self) -> str:
        return self.name


class Desk:
    """What the library's grants and proofs share: users, tokens, and the `jti` of every assertion seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.origin = ""
        self.forget()

    def forget(self) -> None:
        self.users: dict[str, str] = {}
        self.dies: dict[str, float] = {}  # by access token, in Unix seconds
        self.seen: set[tuple[str, str]] = set()

    def client(self, client_id: str) -> Client | None:
        known = self.world.clients.get(client_id)
        return None if known is None else Client(client_id, known)

    def audiences(self) -> list[str]:
        return [self.origin + PATH, self.origin]

    def is_new(self, claims: dict[str, Any]) -> bool:
        with self.world.lock:
            mark = claims["iss"], claims["jti"]
            new = mark not in self.seen
            self.seen.add(mark)
            return new


WORLD = World()
DESK = Desk(WORLD)


class Password(grants.ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = PROOFS

    def authenticate_user(self, username, password):
        return User(username) if username and DESK.users.get(username) == password else None


class ClientCredentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = PROOFS


class JwtBearer(JWTBearerGrant):
    LEEWAY = LEEWAY_S

    def get_audiences(self):
        return DESK.audiences()

    def resolve_issuer_client(self, issuer):
        return DESK.client(issuer)

    def resolve_client_public_key(self, client):
        return client.key

    def authenticate_user(self, subject):
        return User(subject) if subject in DESK.users else None

    def has_granted_permission(self, client, user):  # noqa: ARG002  # the library calls it so
        return True


class Assertion(JWTBearerClientAssertion):
    def get_audiences(self):
        return DESK.audiences()

    def resolve_client_public_key(self, client):
        return client.key

    def validate_jti(self, claims, jti):  # noqa: ARG002  # the library calls it so
        return DESK.is_new(claims)


def save(issued: dict[str, Any], asked: Any) -> None:  # noqa: ARG001  # the library calls it so
    DESK.dies[issued["access_token"]] = time.time() + issued["expires_in"]


def lifetime(client: Client, grant_type: str) -> int:  # noqa: ARG001  # the library calls it so
    return WORLD.lifetime(client.client_id)


def random_token(**_: Any) -> str:
    return secrets.token_urlsafe()


def application() -> Flask:
    app = Flask(__name__)
    server = AuthorizationServer(app, query_client=DESK.client, save_token=save)
    server.register_token_generator("default", BearerTokenGenerator(random_token, None, lifetime))
    for grant in (Password, ClientCredentials, JwtBearer):
        server.register_grant(grant)
    server.register_client_auth_method("client_assertion_jwt", Assertion(leeway=LEEWAY_S))

    @app.post(PATH)
    def token():
        DESK.origin = request.host_url.rstrip("/")
        return server.create_token_response()

    return app


class Authlib:
    """The library behind the harness."""

    def __init__(self) -> None:
        self.app = application().wsgi_app

    def accepts(self, environ: dict[str, Any]) -> bool:
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        return time.time() < DESK.dies.get(token, 0)

    def add(self, clients: dict[str, dict[str, Any]], users: dict[str, str]) -> None:  # noqa: ARG002  # the world has them
        DESK.users |= users

    def forget(self) -> None:
        DESK.forget()


if __name__ == "__main__":
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # loopback
    serve(PATH, WORLD, Authlib())
