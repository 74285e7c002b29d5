"""How the client proves itself to a token endpoint (RFC 6749 section 2.3, 7521, 7523, 8705), and if it was believed."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never
from urllib.parse import quote

from refresher.core.job import Job
from refresher.core.model import Rejected
from refresher.core.secret import Secret
from refresher.providers import assertion, credentials

_JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_UNAUTHORIZED: Final = 401
# What the standards call by a name of its own (RFC 6749 section 5.2, 4.1.2.1, RFC 6750 section 3.1): not the client.
_NOT_THE_CLIENT: Final = frozenset(
    (
        "invalid_request",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "insufficient_scope",
        "invalid_token",
        "access_denied",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a request carries to prove the client: a header, or members of the form. Its repr shows neither."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


def prove(job: Job, secrets: Mapping[str, Secret], *, now: datetime, nonce: str, endpoint: str = "") -> Proof:
    """Return the proof that `job.client_auth` asks for; `secrets` are those of `job.references()`.

    `endpoint` is the URL that is asked, the token endpoint unless said: the audience of an assertion. `nonce` must be
    new for each request. The client's id goes along with an assertion: RFC 7521 section 4.2 allows it and Entra ID
    wants it. Raises UnreadableReferenceError for a credential that is missing or can't be used.
    """
    if job.client_auth == "none" and not job.client_id:  # RFC 7523 section 2.1: an assertion may say it all
        return Proof()
    client_id = credentials.text(job.client_id, "client_id")
    match job.client_auth:
        case "basic":
            secret = credentials.reveal(job, "client_secret", secrets)
            return Proof(headers=(_basic(_escaped(client_id), _escaped(secret)),))
        case "basic_raw" if ":" in client_id:  # RFC 7617 section 2: the name ends at the first colon
            why = 'holds a colon, which basic_raw can not send; write client_auth = "basic" or "post"'
            credentials.unusable("client_id", why)
        case "basic_raw":
            return Proof(headers=(_basic(client_id, credentials.reveal(job, "client_secret", secrets)),))
        case "post":
            secret = credentials.reveal(job, "client_secret", secrets)
            return Proof(fields={"client_id": client_id, "client_secret": secret})
        case "private_key_jwt" if job.shape.client_assertion is not None:
            signed = credentials.reveal(job, "client_assertion", secrets)
        case "private_key_jwt" | "client_secret_jwt":
            signed = assertion.of_client(job, secrets, now=now, nonce=nonce, audience=endpoint or job.token_url)
        case "tls" | "none":
            return Proof(fields={"client_id": client_id})
        case _:
            assert_never(job.client_auth)
    proof = {"client_id": client_id, "client_assertion_type": _JWT_BEARER, "client_assertion": signed}
    return Proof(fields=proof)


def has_special_characters(client_id: str, client_secret: Secret) -> bool:
    """Whether `basic` and `basic_raw` differ for these: servers disagree on which of them is right."""
    return any(_escaped(text) != text for text in (client_id, client_secret.reveal()))


def refuses_client(rejected: Rejected) -> bool:
    """Whether `rejected` says that the client was not recognised: the grant that came along was not looked at.

    RFC 6749 section 5.2: `invalid_client`, or the status 401, which vendors send with codes of their own.
    """
    if rejected.kind != "permanent":
        return False
    by_status = rejected.status == _UNAUTHORIZED and rejected.error not in _NOT_THE_CLIENT
    return rejected.error == "invalid_client" or by_status


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _basic(name: str, secret: str) -> tuple[str, str]:
    """Return the header of RFC 7617; base64 keeps every character out of it that a header can't hold."""
    return "Authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")
