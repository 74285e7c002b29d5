"""How a person's consent is asked for, and what the answers mean.

RFC 8628 (device code); RFC 6749 section 4.1 with RFC 7636 (PKCE), RFC 8252 (loopback redirect) and RFC 9207 (`iss`).
A token answer itself is read by `reply.interpret`, as every other.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from refresher.core.job import USUAL_REPLY, Consent, Job
from refresher.core.model import HttpRequest, HttpResponse, Rejected
from refresher.core.secret import Secret
from refresher.providers import failure, fields
from refresher.providers.body import Members, UnusableReplyError, parse
from refresher.providers.client_auth import prove
from refresher.providers.explain import explain
from refresher.providers.request import carry

CALLBACK: Final = "/callback"
ENTROPY: Final = 32  # bytes of chance in a state and in a verifier (RFC 7636 section 7.1)
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER: Final = timedelta(seconds=5)  # RFC 8628 section 3.5: what `slow_down` adds
LONGEST_INTERVAL: Final = timedelta(minutes=1)  # of polling at a server that fails
_USUAL_INTERVAL: Final = 5  # seconds, where the server names none (section 3.2)
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_CODE: Final = re.compile(r"[\x20-\x7e]{1,4096}")  # RFC 6749 appendix A.11
_SAFE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_USER_CODE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_ADDRESS: Final = re.compile(r"https?://[\x21-\x7e]{1,2000}", re.IGNORECASE)
_MOST_MEMBERS: Final = 50

# RFC 6749 section 4.1.2.1, RFC 8628 section 3.5, OpenID Connect Core section 3.1.2.6, and what is found here.
_MEANINGS: Final = {
    "access_denied": "consent was denied at the provider",
    "expired_token": "nobody consented in time",
    "timeout": "no browser came back in time",
    "invalid_grant": "the code was used before, is too old, or was issued for another client or redirect address",
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
class DeviceCode:
    """The answer of a device authorization endpoint (RFC 8628 section 3.2); `complete` is "" where there is none."""

    device_code: Secret
    user_code: str
    verification_uri: str
    complete: str
    lifetime: timedelta
    interval: timedelta


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
    pairs = [*ours.items(), *(pair for pair in (_scope(job) | prompt).items() if pair[0] not in named)]
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
    return Secret(code) if _CODE.fullmatch(code) else Rejected(kind="permanent", error="code")


def device_request(
    job: Job, consent: Consent, secrets: Mapping[str, Secret], *, now: datetime, nonce: str
) -> HttpRequest:
    """Return the device authorization request (RFC 8628 section 3.1); `nonce` must be new, see request.build."""
    proof = prove(job, secrets, now=now, nonce=nonce, endpoint=consent.url)
    fields = {"client_id": job.client_id, **_scope(job)}
    return carry(replace(job, token_url=consent.url, params=consent.params), fields, proof)


def code_grant(code: Secret, question: Question) -> Grant:
    """Return what redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""
    public = {"grant_type": "authorization_code", "redirect_uri": question.redirect_uri}
    return Grant(public=public, secret={"code": code, "code_verifier": question.verifier})


def device_grant(device: DeviceCode) -> Grant:
    """Return what asks whether somebody consented (RFC 8628 section 3.4)."""
    return Grant(public={"grant_type": _DEVICE_GRANT}, secret={"device_code": device.device_code})


def token_request(job: Job, grant: Grant, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> HttpRequest:
    """Return the request that asks the token endpoint for the first token; `nonce` must be new."""
    fields = {**grant.public, **{name: value.reveal() for name, value in grant.secret.items()}}
    return carry(job, fields, prove(job, secrets, now=now, nonce=nonce))


def device_answer(response: HttpResponse, *, sent_at: datetime, secrets: tuple[Secret, ...]) -> DeviceCode | Rejected:
    """Return what a device authorization endpoint answered, Rejected where that is of no use. Never raises."""
    try:
        members = parse(response)
        code = failure.code_of(members, USUAL_REPLY)
    except UnusableReplyError as error:
        members, code = Members(), None
        if response.status == 200:  # noqa: PLR2004  # OK
            return Rejected(kind="malformed", error=error.error, status=response.status)
    if code is not None or response.status != 200:  # noqa: PLR2004  # OK
        return failure.rejected(response, members, code or failure.NO_CODE, now=sent_at, secrets=secrets)
    try:
        return DeviceCode(
            device_code=Secret(_text(members, _CODE, "device_code")),
            user_code=_text(members, _USER_CODE, "user_code"),
            verification_uri=_text(members, _ADDRESS, "verification_uri", "verification_url"),  # the latter: Google
            complete=_complete(members),
            lifetime=_lifetime(members, sent_at),
            interval=timedelta(seconds=_interval(members)),
        )
    except UnusableReplyError as error:
        return Rejected(kind="malformed", error=error.error, status=response.status)


def next_interval(interval: timedelta, rejected: Rejected) -> timedelta | None:
    """Return how long to wait before the next poll; None: it is over (RFC 8628 section 3.5)."""
    match rejected:
        case Rejected(error="authorization_pending"):
            return interval
        case Rejected(error="slow_down"):
            return interval + SLOWER
        case Rejected(kind="transient"):
            slower = max(interval, min(interval * 2, LONGEST_INTERVAL))
            return max(slower, timedelta(seconds=rejected.retry_after or 0))
        case _:
            return None


def explain_consent(job: Job, rejected: Rejected) -> str:
    """Return one line: what it means that no token came of a consent, and what to do."""
    if rejected.error in _MEANINGS:
        return f"{rejected.error}: {_MEANINGS[rejected.error]}"
    return explain(job.provider, rejected, client_auth=job.client_auth)


def _scope(job: Job) -> dict[str, str]:
    return {"scope": " ".join(job.scope)} if job.scope else {}


def _text(members: Members, fits: re.Pattern[str], *names: str) -> str:
    value = members.one(*names)
    if not isinstance(value, str) or fits.fullmatch(value) is None:
        raise UnusableReplyError(names[0])
    return value


def _lifetime(members: Members, sent_at: datetime) -> timedelta:
    seconds = fields.life(members, members, USUAL_REPLY, sent_at)
    if seconds is None:
        raise UnusableReplyError("expires_in")
    return timedelta(seconds=min(seconds, fields.LONGEST_LIFE))


def _complete(members: Members) -> str:
    try:
        return _text(members, _ADDRESS, "verification_uri_complete")
    except UnusableReplyError:
        return ""  # a convenience alone


def _interval(members: Members) -> int:
    """Return the pause between polls in seconds, 1 or more."""
    value = members.one("interval")
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        return _USUAL_INTERVAL
    return max(int(value), 1)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
