"""The tables that stand inside a job's: where it writes, how replies look, what is signed, tried, consented."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from refresher.config import keys
from refresher.config.keys import Table, choice, optional, usually
from refresher.config.words import BadValueError

ASYMMETRIC: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
SYMMETRIC: Final = ("HS256", "HS384", "HS512")
BY_DISCOVERY: Final = ""  # the introspection endpoint is the one that the issuer's metadata name


class DestinationTable(Table):
    """One Vault path that a job writes."""

    cluster: keys.Cluster = usually("", "The name of a table `[clusters.NAME]`; else the default cluster.", "eu")
    mount: keys.Name | None = optional("The KV mount; else the cluster's.", "shared/tokens")
    path: keys.Name | None = optional("The path below the mount. Required.", "tokens/crm")
    fields: keys.Fields | None = optional(
        "What stands there under which name; else the job's `fields`. `{}`: the members as they are.",
        {"header": "Bearer {access_token}"},
    )


class ResponseTable(Table):
    """Where a reply that is not as in RFC 6749 keeps its members; a path such as `data.token` goes into objects."""

    access_token: keys.Place | None = optional("The member that holds the token.", "token", "data.token")
    expires_in: keys.Place | None = optional("The member that holds the lifetime, or the moment of expiry.", "data.ttl")
    expires_in_unit: Annotated[Literal["s", "ms"], choice("s", "ms")] = usually(
        "s", "The lifetime's unit: seconds or milliseconds.", "ms"
    )
    scope: keys.Place | None = optional("The member that holds the scope.", "data.permissions")
    error: keys.Place | None = optional("The member that holds the error code.", "code")
    error_ok: keys.ErrorOk = usually((), "Values of the error member that mean success.", [0, "ok"])


class ClientKeyTable(Table):
    """The JWT that proves the client (RFC 7523, section 2.2): `private_key_jwt`, or `client_secret_jwt`."""

    key: keys.SecretKey | None = optional(
        "The private key, PEM. With `client_secret_jwt` it is left out: the client's secret signs.",
        "file:/etc/refresher/crm.key",
    )
    algorithm: Annotated[str | None, choice(*ASYMMETRIC, *SYMMETRIC)] = optional(
        "How to sign (RFC 7518): HS for `client_secret_jwt`, where it is HS256 if left out.", "ES256", otherwise="RS256"
    )
    key_id: keys.Text | None = optional("The key's name at the provider (`kid`).", "2026-11")
    certificate: keys.SecretKey | None = optional(
        "The key's certificate, PEM: its thumbprint is sent (`x5t`), as Entra ID wants it.",
        "file:/etc/refresher/crm.pem",
    )
    audience: keys.Text | None = optional("Who is addressed (`aud`); else the token endpoint.", "https://id.example")
    lifetime: keys.Span | None = optional("How long it is good for; each try signs afresh.", "2m", otherwise="1m")


class AssertionTable(ClientKeyTable):
    """The JWT that is the grant itself (`jwt_bearer`: RFC 7523, section 2.1)."""

    key: keys.SecretKey | None = optional(
        "The private key, PEM; for Google its JSON key file; for HS a shared secret. Required.",
        "file:/etc/refresher/crm.key",
    )
    algorithm: Annotated[str | None, choice(*ASYMMETRIC, *SYMMETRIC)] = optional(
        "How to sign (RFC 7518).", "ES256", otherwise="RS256"
    )
    issuer: keys.Text | None = optional("Who says it (`iss`); else the client id.", "acme-backend")
    subject: keys.Text | None = optional("For whom (`sub`); else the client id.", "api@acme.example")
    claims: keys.Claims | None = optional("Further claims; no secrets.", {"tenant": "acme"})


class VerifyTable(Table):
    """How a new token is tried before it is published: only a 401 or 403, or `active: false`, keeps it back."""

    url: keys.Template | None = optional("What is called with the token, by GET.", "https://crm.example.com/api/me")
    status: Annotated[int, Field(ge=200, le=599), keys.Kind("whole number, 200 to 599")] = usually(
        200, "The HTTP status that means that the token works.", 204
    )
    introspect: keys.Template | None = optional(
        "Instead of `url`: the introspection endpoint (RFC 7662).", "https://id.example.com/oauth/introspect"
    )


class AuthorizeTable(Table):
    """How a person consents once, by `refresher authorize JOB`, which stores the first refresh token."""

    flow: Annotated[
        Literal["device_code", "authorization_code"] | None, choice("device_code", "authorization_code")
    ] = optional(
        "A code to type in on another device (RFC 8628), or a browser on this machine "
        "(RFC 6749, section 4.1, with PKCE). Required.",
        "device_code",
        "authorization_code",
    )
    url: keys.Template | None = optional(
        "The device authorization endpoint, or the authorization endpoint; else the one that `issuer` names.",
        "https://id.example.com/device",
    )
    redirect_port: Annotated[int, Field(ge=0, le=65535), keys.Kind("whole number, 0 to 65535")] = usually(
        0,
        "With `authorization_code`: where the browser comes back to, http://127.0.0.1:PORT/callback; "
        "0 takes a free port (RFC 8252).",
        8765,
    )
    params: keys.ConsentParams | None = optional(
        "Further members of the request for consent; no secrets.", {"access_type": "offline"}
    )


def _verify(value: Any) -> Any:  # noqa: ANN401  # pydantic goes on with what this returns
    if value == "introspect":
        return VerifyTable.model_construct({"introspect"}, introspect=BY_DISCOVERY)
    if not isinstance(value, dict):
        raise BadValueError('must be "introspect", or a table such as { url = "https://crm.example.com/api/me" }')
    return value


Verify = Annotated[
    VerifyTable | None,
    BeforeValidator(_verify, json_schema_input_type=Literal["introspect"] | VerifyTable),
    keys.Kind('[table](#verify), or `"introspect"`'),
]
