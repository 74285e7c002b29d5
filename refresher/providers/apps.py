"""Applications that sign for themselves, each vendor in its own way: the JWT that is sent in place of RFC 7523's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from refresher.core.job import Job, Signing
from refresher.core.secret import Secret
from refresher.providers import assertion, credentials

_KEY: Final = "assertion.key"
_CLOCKS_DIFFER: Final = timedelta(seconds=60)
_GITHUB_API: Final = (("Accept", "application/vnd.github+json"), ("X-GitHub-Api-Version", "2022-11-28"))
_GITHUB_LIFE: Final = timedelta(minutes=9)  # it takes ten at most, by its own clock


def github_app(job: Job, secrets: Mapping[str, Secret], *, now: datetime) -> tuple[tuple[str, str], ...]:
    """Return the headers by which a GitHub App asks for an installation token: a bearer token of its own making.

    `job.client_id` is the app's id or client id, `assertion.key` its private key, `job.token_url` ends in
    `/app/installations/INSTALLATION_ID/access_tokens`.
    Source: docs.github.com, "Generating a JSON Web Token (JWT) for a GitHub App". Raises UnreadableReferenceError.
    """
    signing = _stated(job)
    said: dict[str, str | int] = {
        "iss": signing.issuer or credentials.text(job.client_id, "client_id"),
        "iat": int((now - _CLOCKS_DIFFER).timestamp()),
        "exp": int((now + _GITHUB_LIFE).timestamp()),
    }
    bearer = assertion.signed(job, signing, said, secrets, part="assertion")
    return ("Authorization", f"Bearer {bearer}"), *_GITHUB_API


def google_service_account(job: Job, secrets: Mapping[str, Secret], *, now: datetime) -> str:
    """Return the assertion of a Google service account: the scope is one of its claims.

    `assertion.key` is the JSON file that Google hands out, `assertion.subject` the user to act for, if any.
    Source: developers.google.com, "Using OAuth 2.0 for Server to Server Applications". Raises UnreadableReferenceError.
    """
    file = _key_file(credentials.whole(job, _KEY, secrets), credentials.where(job, _KEY))
    stated = _stated(job)
    signing = replace(stated, key_id=stated.key_id or file.private_key_id)
    said: dict[str, str | int] = {
        "iss": signing.issuer or file.client_email,
        "sub": signing.subject,
        "scope": " ".join(job.scope),
        "aud": signing.audience or job.token_url,
        "iat": int(now.timestamp()),
        "exp": int((now + signing.lifetime).timestamp()),
    }
    said = {name: value for name, value in said.items() if value}
    return assertion.signed(job, signing, said, {**secrets, _KEY: file.private_key}, part="assertion")


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyFile:
    client_email: str
    private_key: Secret
    private_key_id: str


def _key_file(secret: Secret, where: str) -> _KeyFile:
    try:
        members = json.loads(secret.reveal())
        email, key, key_id = (members[name] for name in ("client_email", "private_key", "private_key_id"))
    except (ValueError, TypeError, LookupError, RecursionError):
        email = key = key_id = None
    if not (isinstance(email, str) and isinstance(key, str) and isinstance(key_id, str)):
        credentials.unusable(where, "this is not a service account's key file: JSON with client_email and private_key")
    return _KeyFile(client_email=email, private_key=Secret(key), private_key_id=key_id)


def _stated(job: Job) -> Signing:
    if job.shape.assertion is None:
        credentials.unusable(_KEY, "is missing or empty")
    return job.shape.assertion
