"""The auth methods that refresher logs in by: what each sends, and what its refusals mean. Pure.

Sources: developer.hashicorp.com/vault/api-docs/auth (approle, kubernetes, jwt, cert), openbao.org/api-docs/auth; the
refusals as OpenBao 2.7 gave them.
"""

from collections.abc import Mapping
from typing import Final

from refresher.core.secret import Secret
from refresher.core.settings import Auth, AuthMethod
from refresher.vault.answers import Reply

REFUSALS: Final[Mapping[tuple[AuthMethod, int], str]] = {
    ("approle", 400): "role_id or secret_id is not valid",
    ("approle", 403): "there is no such auth method, or it is not allowed from this address",
    ("token", 403): "the token is not valid, or not from this address",
    ("kubernetes", 400): "there is no such role",
    ("kubernetes", 403): "the service account's token is not valid or not bound to the role, or no such auth method",
    ("jwt", 400): "the JWT is not valid for the role, or there is no such role",
    ("jwt", 403): "there is no such auth method, or it is not allowed from this address",
    ("cert", 400): "the certificate fits no role, or none came: is there a proxy that ends TLS?",
    ("cert", 403): "there is no such auth method, or it is not allowed from this address",
}


def payload(auth: Auth, credential: Secret | None) -> dict[str, str | None]:
    """Return what the login of `auth` sends; a certificate is shown by the wire."""
    shown = credential.reveal() if credential is not None else None
    match auth.method:
        case "approle":
            return {"role_id": auth.role_id, "secret_id": shown}
        case "kubernetes" | "jwt":
            return {"jwt": shown} | ({"role": auth.role} if auth.role else {})
        case "cert":
            return {"name": auth.role} if auth.role else {}
        case "token":
            return {}


def role_of(reply: Reply) -> str:
    """Return the role that an answer to a login names: AppRole's is needed to ask about the secret ID."""
    metadata = reply.member("auth").get("metadata")
    role = metadata.get("role_name") if isinstance(metadata, dict) else None
    return role if isinstance(role, str) else ""
