"""Asking a server whether it takes a token: RFC 7662, and a plain call of an API. Pure."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from refresher.core.job import Job, Verify
from refresher.core.model import HttpRequest, HttpResponse
from refresher.core.secret import Secret
from refresher.providers.body import UnusableReplyError, parse
from refresher.providers.client_auth import prove

_REFUSED: Final = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))


def introspection(  # noqa: PLR0913  # all that the request is made of
    job: Job, url: str, token: Secret, secrets: Mapping[str, Secret], *, now: datetime, nonce: str
) -> HttpRequest:
    """Return the request of RFC 7662 section 2.1 for `token`; the client proves itself as it does for its tokens.

    `secrets` are those of `job.references()`, `nonce` must be new for each request. Raises UnreadableReferenceError.
    """
    proof = prove(job, secrets, now=now, nonce=nonce)
    form = {"token": token.reveal(), "token_type_hint": "access_token", **proof.fields}
    headers = (("Content-Type", "application/x-www-form-urlencoded"), *proof.headers)
    body = urlencode(form, quote_via=quote, safe="").encode("ascii")
    return HttpRequest(method="POST", url=url, headers=headers, body=body, channel=job.shape.channel)


def is_active(response: HttpResponse) -> bool | None:
    """Return whether the token is good (RFC 7662 section 2.2); None where the answer says nothing of it.

    A 401 or 403 refuses the client that asks, not the token (section 2.3).
    """
    if response.status != HTTPStatus.OK:
        return None
    try:
        active = parse(response).one("active")
    except UnusableReplyError:
        return None
    return active if isinstance(active, bool) else None


def call(job: Job, verify: Verify, token: Secret) -> HttpRequest:
    """Return the call of an API with `token` (RFC 6750 section 2.1)."""
    headers = (("Authorization", f"Bearer {token.reveal()}"),)
    return HttpRequest(method="GET", url=verify.url, headers=headers, channel=job.shape.channel)


def is_taken(response: HttpResponse, verify: Verify) -> bool | None:
    """Return whether the API took the token; None where its answer says nothing of it."""
    if response.status == verify.status:
        return True
    return False if response.status in _REFUSED else None
