"""How a person's consent is asked for by a browser, how it becomes a token, and why it does not.

RFC 6749 section 4.1 with RFC 7636 (PKCE), RFC 8252 (loopback redirect) and RFC 9207 (`iss`); device.py has RFC 8628.
A token answer itself is read by `reply.interpret`, as every other.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from refresher.core.job import Consent, Job
from refresher.core.model import HttpRequest, Rejected
from refresher.core.secret import Secret
from refresher.providers.client_auth import prove
from refresher.providers.explain import explain
from refresher.providers.request import carry

CALLBACK: Final = "/callback"
ENTROPY: Final = 32  # bytes of chance in a state and in a verifier (RFC 7636 section 7.1)
CODE: Final = re.compile(r"[\x20-\x7e]{1,4096}")  # RFC 6749 appendix A.11
_SAFE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_MOST_MEMBERS: Final = 50

# RFC 6749 section 4.1.2.1, RFC 8628 section 3.5, OpenID Connect Core section 3.1.2.6, and what is found here.
_MEANINGS: Final = {
    "access_denied": "consent was denied at the provider",
    "expired_token": "nobody consented in time",
    "timeout": "no browser came back in time",
    "invalid_grant": "the code was used before, is too old, or was issued for another client or redirect address",
    "no_endpoint": "the issuer's metadata name no endpoint for this flow; write authorize.url, or choose another flow",
    "iss": "the answer came from another issuer than the job's; nothing of it was used",
    "code": "the answer bears no code that can be sent; report it to the provider",
    "device_code": "the answer bears no device code that can be sent; check authorize.url",
    "user_code": "the answer bears no user code that can be shown; check authorize.url",
    "verification_uri": "the answer bears no address that can be shown; check authorize.url",
    "http_404": "there is no such endpoint; check authorize.url and token_url",
    "insufficient_scope": "fewer scopes were granted than require_scope names; consent to all of them",
    "server_error": "an error at the provider; try again later",
    "temporarily_unavailable": "the provider is overloaded; try again later",
    "unsupported_response_type": "the provider gives this client no code; allow it the authorization code flow",
    "login_required": "nobody was logged in at the provider",
    "consent_required": "the provider needs a consent that it did not ask for; see its documents for authorize.params",
    "interaction_required": "the provider needs an answer that it did not ask for; see its documents",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to a person's browser: where it comes back to, and what binds the answer to this question."""

    redirect_uri: str
    state: str
    verifier: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The members of a token request by which a person's consent becomes a token."""

    public: Mapping[str, str]
    secret: Mapping[str, Secret]


def random_text(entropy: bytes) -> str:
    """Return `entropy` (at least ENTROPY bytes of chance) as a state, or as a code verifier (RFC 7636 section 4.1)."""
    if len(entropy) < ENTROPY:
        raise ValueError("too little chance")
    return _base64url(entropy)


def challenge(verifier: Secret) -> str:
    """Return the S256 challenge of a code verifier (RFC 7636 section 4.2)."""
    return _base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def authorization_url(job: Job, consent: Consent, question: Question) -> str:
    """Return the address that a person opens (RFC 6749 section 4.1.1); a query that its `url` has is kept."""
    ours = {
        "response_type": "code",
        "client_id": job.client_id,
        "redirect_uri": question.redirect_uri,
        "state": question.state,
        "code_challenge": challenge(question.verifier),
        "code_challenge_method": "S256",
    }
    # OpenID Connect Core section 11: a server ignores offline_access unless the person is asked for it.
    prompt = {"prompt": "consent"} if "offline_access" in job.scope else {}
    named = {name for name, _ in consent.params}
    pairs = [*ours.items(), *(pair for pair in (scope_of(job) | prompt).items() if pair[0] not in named)]
    pairs += [pair for pair in consent.params if pair[0] not in ours]
    separator = "&" if urlsplit(consent.url).query else "?"
    return consent.url + separator + urlencode(pairs, quote_via=quote, safe="")


def callback(target: str, *, state: str, issuer: str = "") -> Secret | Rejected | None:
    """Return the code that the request `target` brings, why there is none, or None: it answers no question of ours.

    `issuer` is the job's, "" where it names none: then an `iss` (RFC 9207) has nothing to be compared with.
    """
    parts = urlsplit(target)
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_MEMBERS)
    except ValueError:
        return None
    members = dict(pairs)
    ours = hmac.compare_digest(members.get("state", "").encode(errors="surrogatepass"), state.encode())
    if parts.path != CALLBACK or not ours or len(members) != len(pairs):
        return None
    if issuer and members.get("iss", issuer) != issuer:
        return Rejected(kind="permanent", error="iss")
    if "error" in members:
        error = members["error"]
        return Rejected(kind="permanent", error=error if _SAFE.fullmatch(error) else "other")
    code = members.get("code", "")
    return Secret(code) if CODE.fullmatch(code) else Rejected(kind="permanent", error="code")


def code_grant(code: Secret, question: Question) -> Grant:
    """Return what redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    public = {"grant_type": "authorization_code", "redirect_uri": question.redirect_uri}
    return Grant(public=public, secret={"code": code, "code_verifier": question.verifier})


def token_request(job: Job, grant: Grant, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> HttpRequest:
    """Return the request that asks the token endpoint for the first token; `nonce` must be new.

    Its members win over the job's `params`, which speak of the job's own grant.
    """
    fields = {**grant.public, **{name: value.reveal() for name, value in grant.secret.items()}}
    params = tuple(pair for pair in job.params if pair[0] not in fields)
    return carry(replace(job, params=params), fields, prove(job, secrets, now=now, nonce=nonce))


def explain_consent(job: Job, rejected: Rejected) -> str:
    """Return one line: what it means that no token came of a consent, and what to do."""
    if rejected.why:
        return f"{rejected.error}: {rejected.why}"
    if rejected.error in _MEANINGS:
        return f"{rejected.error}: {_MEANINGS[rejected.error]}"
    return explain(job.provider, rejected, client_auth=job.client_auth)


def scope_of(job: Job) -> dict[str, str]:
    """Return what to ask for as a member of a request, if anything."""
    return {"scope": " ".join(job.scope)} if job.scope else {}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
