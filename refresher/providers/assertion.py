"""The JWTs that refresher signs (RFC 7523): who says what about whom, and until when.

Rules of this module:
- The moment and the nonce are the caller's. Each try has a nonce of its own, since a server refuses a `jti` twice.
- `iat` and `exp` are whole seconds; `exp` is near, as section 3 asks.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from refresher.core.job import Job, Signing
from refresher.core.secret import Secret
from refresher.providers import credentials

_USUAL_HS: Final = "HS256"  # of client_secret_jwt where nobody says otherwise


def of_client(job: Job, secrets: Mapping[str, Secret], *, now: datetime, nonce: str, audience: str) -> str:
    """Return the assertion that proves the client at the endpoint `audience` (RFC 7523 section 2.2).

    Raises UnreadableReferenceError for a key that is missing or can't be used.
    """
    signing, key = job.shape.client_key, "client_key.key"
    if job.client_auth == "client_secret_jwt" and job.client_secret is not None:
        signing, key = signing or Signing(key=job.client_secret, algorithm=_USUAL_HS), "client_secret"
    signing = _stated(signing, key)
    said = claims(job, signing, now=now, audience=audience) | {"jti": f"c-{nonce}"}
    return signed(job, signing, said, secrets, part="client_key", private=key)


def of_grant(job: Job, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> str:
    """Return the assertion that is the grant itself (RFC 7523 section 2.1); raises as `of_client` does."""
    signing = _stated(job.shape.assertion, "assertion.key")
    said = claims(job, signing, now=now, audience=job.token_url) | {"jti": f"g-{nonce}"}
    return signed(job, signing, said, secrets, part="assertion")


def claims(job: Job, signing: Signing, *, now: datetime, audience: str) -> dict[str, str | int]:
    """Return what section 3 wants said, but for `jti`: the client's id and `audience` where `signing` is silent."""
    return {
        "iss": signing.issuer or credentials.text(job.client_id, "client_id"),
        "sub": signing.subject or credentials.text(job.client_id, "client_id"),
        "aud": signing.audience or audience,
        "iat": int(now.timestamp()),
        "exp": int((now + signing.lifetime).timestamp()),
    }


def signed(  # noqa: PLR0913  # what a signature depends on
    job: Job,
    signing: Signing,
    said: Mapping[str, str | int],
    secrets: Mapping[str, Secret],
    *,
    part: Literal["client_key", "assertion"],
    private: str = "",
) -> str:
    """Return the JWT of what is `said` and of the claims that the job adds.

    The certificate of the job's `part` is named in its header; `private` is the credential to sign with, the part's
    own key unless it is named.
    """
    from refresher.providers import signing as jws  # noqa: PLC0415  # 70 ms that only a job that signs should take

    header = {"alg": signing.algorithm} | ({"kid": signing.key_id} if signing.key_id else {})
    private = private or f"{part}.key"
    text = credentials.whole(job, private, secrets)
    key = jws.load(text, signing.algorithm, where=credentials.where(job, private))
    if signing.certificate is not None:
        name = f"{part}.certificate"
        certificate = credentials.whole(job, name, secrets)
        header |= jws.thumbprints(certificate, key, where=credentials.where(job, name))
    return jws.sign(header, {**said, **dict(signing.claims)}, key)


def _stated(signing: Signing | None, key: str) -> Signing:
    if signing is None:
        credentials.unusable(key, "is missing or empty")
    return signing
