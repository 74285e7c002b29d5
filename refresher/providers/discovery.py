"""Where an issuer's endpoints are: RFC 8414 and OpenID Connect Discovery 1.0, pure.

Rules of this module:
- The metadata must state the issuer that was asked for, letter by letter: else a server could pass for another
  (RFC 8414 section 3.3, RFC 9700 section 4.4).
- An endpoint is taken where a secret may be sent to it: https, or http on this machine where the issuer is so too.
- A client with a certificate uses the aliases for it (RFC 8705 section 5).
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from refresher.core.address import may_get_secrets
from refresher.core.model import HttpResponse
from refresher.providers.body import Members, UnusableReplyError, parse

_PARSED: Final = {
    "too_large": "is larger than 1 MiB",
    "encoding": "is compressed in a way that was not asked for",
    "duplicate": "states something twice",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What an issuer says of itself; an endpoint that it does not name, or that can't be used, is ""."""

    issuer: str
    token_endpoint: str
    introspection_endpoint: str = ""
    device_authorization_endpoint: str = ""
    authorization_endpoint: str = ""


class UnusableMetadataError(Exception):
    """A document that gives no usable metadata; its text says why, in words of ours."""


def addresses(issuer: str) -> tuple[str, str]:
    """Return where the metadata of `issuer` may stand, in the order to try.

    RFC 8414 section 3.1 puts the well-known name before the issuer's path, OpenID Connect Discovery section 4.1 after.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def read(response: HttpResponse, issuer: str, *, mtls: bool = False) -> Metadata:
    """Return what `response` says of `issuer`, or raise UnusableMetadataError. `mtls`: the client has a certificate."""
    if response.status != HTTPStatus.OK:
        raise UnusableMetadataError(f"HTTP {response.status}")
    try:
        members = parse(response)
        _check_issuer(members.one("issuer"), issuer)
        aliases = members.one("mtls_endpoint_aliases") if mtls else None
        found = {
            name: _endpoint(members, aliases, name, issuer)
            for name in (
                "token_endpoint",
                "introspection_endpoint",
                "device_authorization_endpoint",
                "authorization_endpoint",
            )
        }
    except UnusableReplyError as error:
        raise UnusableMetadataError(_PARSED.get(error.error, "is no JSON object")) from None
    if not found["token_endpoint"]:
        raise UnusableMetadataError("names no token endpoint that a secret may be sent to")
    return Metadata(issuer=issuer, **found)


def _check_issuer(stated: object, issuer: str) -> None:
    if stated == issuer:
        return
    for meant in (issuer.rstrip("/"), issuer.rstrip("/") + "/"):
        if stated == meant:
            raise UnusableMetadataError(f'states the issuer with another end: write issuer = "{meant}"')
    raise UnusableMetadataError("states another issuer" if isinstance(stated, str) else "states no issuer")


def _endpoint(members: Members, aliases: object, name: str, issuer: str) -> str:
    value = aliases.one(name) if isinstance(aliases, Members) else None
    value = members.one(name) if value is None else value
    plain = issuer.lower().startswith("http://")
    return value if isinstance(value, str) and may_get_secrets(value, plain=plain) else ""
