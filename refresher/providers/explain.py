"""What a refusal means to a person, in one line: what happened, and what to do."""

from typing import Final

from refresher.core.job import ClientAuth, GrantName
from refresher.core.model import Rejected
from refresher.providers.provider import catalogue

# RFC 6749 section 5.2, RFC 6750 section 3.1 and what refresher itself finds in a reply (see reply.interpret).
_MEANINGS: Final = {
    "invalid_request": "the request lacks a parameter or holds a wrong one; check params, grant and client_auth",
    "invalid_client": "the client was not recognised; check client_id, client_secret and client_auth",
    "invalid_grant": "the refresh token, or the user's name and password, is wrong, expired or revoked; renew it",
    "unauthorized_client": "this client may not use this grant; ask the provider to allow it, or change grant",
    "unsupported_grant_type": "the server does not know this grant; check grant and token_url",
    "invalid_scope": "a scope is unknown or not allowed for this client; check scope",
    "insufficient_scope": "the token was granted fewer scopes than require_scope names; ask the provider to allow them",
    "invalid_target": "the audience or resource is unknown or not allowed; check audience and resource",
    "unsupported_token_type": "the token is not a bearer token, readers could not use it; change the client's settings",
    "no_refresh_token": "no refresh token that works is left; run refresher authorize, or mend the job's refresh_token",
    "transport": "no whole reply came; it is tried again, and when it stays check token_url, network and certificates",
    "deadline": "no whole reply came in time; it is tried again, and when it stays ask the provider",
    "status": "the HTTP status fits no token reply; check token_url",
    "body": "the reply is neither JSON nor a form, a login page perhaps; check token_url and what stands before it",
    "encoding": "the reply is compressed in a way that was not asked for, or is broken; check what stands in between",
    "too_large": "the reply is larger than 1 MiB; check token_url",
    "duplicate": "the reply states something twice; report it to the provider",
    "access_token": "the reply bears no access token that can be sent; check token_url, or set response.access_token",
    "token_type": "the reply's token_type is no text; report it to the provider",
    "expires_in": "the reply's lifetime can not be read; set response.expires_in, or report it to the provider",
    "refresh_token": "the reply's refresh token can not be sent; report it to the provider",
    "other": "the error code can not be shown safely; the provider's own log tells more",
    "http_401": "the client was not recognised; check client_id, client_secret and client_auth",
    "http_403": "the client or the user was refused, or something stands before the server; check both",
    "http_404": "there is no token endpoint; check token_url",
    "http_405": "the address takes no POST; check token_url",
    "http_407": "a proxy wants credentials; check the way to the server",
    "http_429": "too many requests; it is tried again later",
    "http_501": "the server can not do this; check token_url and grant",
}
# What the same code means of a grant or a client that is new at each try.
_OF_GRANT: Final[dict[tuple[str, GrantName | None], str]] = {
    ("invalid_grant", "jwt_bearer"): "the signed grant is not accepted; check the assertion's key, key_id, issuer, "
    "subject and audience, and this machine's clock",
    ("invalid_grant", "token_exchange"): "the token to exchange is not accepted: it is dead, or of another kind than "
    "subject_token_type says",
    ("invalid_request", "token_exchange"): "the token to exchange is not accepted, or the request lacks a parameter; "
    "check subject_token, subject_token_type and params",
}
_SIGNING: Final[tuple[ClientAuth, ...]] = ("private_key_jwt", "client_secret_jwt")
_UNPROVEN: Final = (
    "the client was not recognised; check client_id, the key that signs, its key_id, algorithm and audience, and this "
    "machine's clock"
)
_NOT_RECOGNISED: Final = ("invalid_client", "http_401")
_CLASSES: Final = {
    "3": "the server sends elsewhere, which is never followed; check token_url",
    "4": "the request was refused; check token_url, grant and client_auth",
    "5": "an error at the server; it is tried again, and when it stays ask the provider",
}
_OTHER_WAY: Final[dict[ClientAuth | None, ClientAuth]] = {"basic": "basic_raw", "basic_raw": "basic"}


def explain(
    provider: str,
    rejected: Rejected,
    *,
    grant: GrantName | None = None,
    client_auth: ClientAuth | None = None,
    special: bool = False,
) -> str:
    """Return one line: what `rejected` means at `provider`, and what to do.

    The provider's own words first, by code and then by status, then the standard's. `special`: client id or secret
    holds a character that `basic` escapes and `basic_raw` does not, see request.has_special_characters.
    """
    row = catalogue().get(provider)
    errors = row.errors if row is not None else {}
    status = str(rejected.status)
    meaning = (
        errors.get(rejected.error)
        or errors.get(status)
        or _OF_GRANT.get((rejected.error, grant))
        or (_UNPROVEN if rejected.error in _NOT_RECOGNISED and client_auth in _SIGNING else None)
        or _MEANINGS.get(rejected.error)
        or _MEANINGS.get(f"http_{status}")
        or _CLASSES.get(status[0], "an error that the standard does not name; see the provider's documents")
    )
    return f"{rejected.error}: {meaning}{_hint(rejected, client_auth, special=special)}"


def _hint(rejected: Rejected, client_auth: ClientAuth | None, *, special: bool) -> str:
    """Return which way to try next: servers disagree on whether Basic is percent-encoded (RFC 6749 section 2.3.1)."""
    other = _OTHER_WAY.get(client_auth)
    if other is None or (rejected.error != "invalid_client" and rejected.status != 401):  # noqa: PLR2004  # Unauthorized
        return ""
    why = "id or secret holds special characters, which servers read in two ways:" if special else "if both are right,"
    return f'; {why} try client_auth = "{other}" or "post"'
