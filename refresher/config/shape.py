"""What is unusual about a job's request: signed JWTs, its connection, how it is written, tried and consented to."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from refresher.config import references, words
from refresher.config.draft import Draft
from refresher.config.endpoint import Blanks
from refresher.config.job_tables import ASYMMETRIC, SYMMETRIC, AuthorizeTable, ClientKeyTable, VerifyTable
from refresher.config.needs import USED, Choice
from refresher.config.references import OtherJob
from refresher.core.job import PLAIN_SHAPE, Consent, Shape, Signing, Verify
from refresher.core.model import Channel, Reference
from refresher.providers import Provider

_CONNECTION: Final = ("proxy", "ca_file", "cert_file", "key_file")
# A job with none of these, one client secret, and a provider that asks for nothing unusual has the plain shape.
_KEYS: Final = (
    frozenset(key for used in USED.values() for keys in used.values() for key in keys)
    .difference(("username", "password", "client_secret", "refresh_token"))
    .union((*_CONNECTION, "issuer", "method", "body", "headers", "verify"))
)


def shape(draft: Draft, provider: Provider, blanks: Blanks, choice: Choice, issuer: str) -> Shape:
    """Return the job's shape, telling every mistake in it. Equal ones are one value: ten thousand jobs share a few."""
    stated = draft.stating(_KEYS)
    secrets: tuple[Reference, ...] = draft.get("client_secret") or ()
    if not stated and provider.body == "form" and not provider.dialect and len(secrets) < references.MOST_SECRETS:
        return PLAIN_SHAPE
    used = choice.used
    subject = draft.get("subject_token") if "subject_token" in used else None
    found: dict[str, Any] = {
        "issuer": issuer,
        "body": provider.body,
        "dialect": provider.dialect,
        **{key: draft.get(key) for key in stated.intersection(("method", "body", "headers"))},
        **{key: draft.get(key) for key in stated.intersection(used, ("client_assertion", "subject_token_type"))},
        "channel": _channel(draft),
        "client_key": _client_key(draft, choice) if "client_key" in used else None,
        "assertion": _assertion(draft) if "assertion" in used else None,
        "consent": _consent(draft, blanks, issuer) if "authorize" in used else None,
        "next_client_secret": secrets[1] if "client_secret" in used and len(secrets) > 1 else None,
        "subject_token": None if isinstance(subject, OtherJob) else subject,  # chains.py knows the other job
        "verify": verify(draft, blanks, issuer),
    }
    _method(draft, found.get("method", "POST"))
    return shared(Shape(**found))


@lru_cache(maxsize=1024)
def shared(value: Shape) -> Shape:
    """Return the one value that equals `value`."""
    return PLAIN_SHAPE if value == PLAIN_SHAPE else value


def _method(draft: Draft, method: str) -> None:
    if method != "GET":
        return
    if "body" in draft.own:
        draft.wrong("body", "is not used with method GET, which has none: take it out")
    if "method" in draft.own:
        draft.odd("method", "GET puts secrets into the URL, which servers log: only where the provider takes no POST")


def _channel(draft: Draft) -> Channel | None:
    found = {key: draft.get(key) for key in _CONNECTION if draft.get(key) is not None}
    if "key_file" in found and "cert_file" not in found and not draft.unsure("cert_file"):
        draft.wrong("cert_file", "is required with key_file: the certificate of that key")
    return Channel(**found) if found else None


def _client_key(draft: Draft, choice: Choice) -> Signing | None:
    table: ClientKeyTable | None = draft.get("client_key")
    if table is None:
        return None
    if choice.client_auth == "private_key_jwt":
        return _signing(draft, "client_key", table, ASYMMETRIC)
    if table.key is not None:
        draft.wrong("client_key.key", "is not used with client_secret_jwt, where the client_secret signs: take it out")
    secret = next(iter(draft.get("client_secret") or ()), None)
    return _signing(draft, "client_key", table, SYMMETRIC, secret)


def _assertion(draft: Draft) -> Signing | None:
    table: ClientKeyTable | None = draft.get("assertion")
    return None if table is None else _signing(draft, "assertion", table, (*ASYMMETRIC, *SYMMETRIC))


def _signing(
    draft: Draft, name: str, table: ClientKeyTable, algorithms: Iterable[str], secret: Reference | None = None
) -> Signing | None:
    """Return what is signed; `secret` signs where the key is the client's secret."""
    said = table.said() | ({} if secret is None else {"key": secret})
    said.setdefault("algorithm", "RS256" if secret is None else "HS256")
    if said["algorithm"] not in algorithms:
        draft.wrong(f"{name}.algorithm", f"must be {words.listed(algorithms)} here")
    if "key" not in said:
        draft.wrong(f"{name}.key", 'is required: a reference to the private key, e.g. "file:/etc/refresher/name.key"')
        return None
    return Signing(**said)


def _consent(draft: Draft, blanks: Blanks, issuer: str) -> Consent | None:
    table: AuthorizeTable | None = draft.get("authorize")
    if table is None:
        return None
    if table.flow is None:
        draft.wrong("authorize.flow", 'is required: "device_code", or "authorization_code"')
        return None
    if table.url is None and not issuer and not draft.unsure("issuer"):
        draft.wrong("authorize.url", "is required where no issuer leads to it")
    if table.flow == "device_code" and table.redirect_port:
        draft.wrong("authorize.redirect_port", "is not used with device_code: no browser comes back")
    url = "" if table.url is None else blanks.url("authorize.url", table.url)
    return Consent(flow=table.flow, url=url, redirect_port=table.redirect_port, params=table.params or ())


def verify(draft: Draft, blanks: Blanks, issuer: str) -> Verify | None:
    """Return how a new token is tried, telling every mistake in it."""
    table: VerifyTable | None = draft.get("verify")
    if table is None:
        return None
    match table.url, table.introspect:
        case None, None:
            draft.wrong("verify", "names nothing to call: write url, or introspect")
        case str(url), None:
            return Verify(url=blanks.url("verify.url", url), status=table.status)
        case None, "" if not issuer and not draft.unsure("issuer"):
            draft.wrong("verify", 'needs an issuer here: else write verify = { introspect = "https://..." }')
        case None, str(url) if "status" not in table.said():
            return Verify(url=blanks.url("verify.introspect", url), introspect=True)
        case None, _:
            draft.wrong("verify.status", "is not used with introspect: take it out")
        case _:
            draft.wrong("verify.introspect", "stands beside url: write one of the two")
    return None
