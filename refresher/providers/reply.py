"""What a token endpoint's reply means (RFC 6749 sections 5.1 and 5.2, and what is sent instead)."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus

from refresher.core.errors import TransportError
from refresher.core.job import Job
from refresher.core.model import Granted, HttpResponse, Rejected, Token, Verdict
from refresher.core.secret import Secret
from refresher.providers import failure, fields
from refresher.providers.body import Members, UnusableReplyError, parse


def interpret(  # noqa: PLR0913  # all that a verdict may depend on
    response: HttpResponse,
    job: Job,
    *,
    sent_at: datetime,
    sent_refresh_token: Secret | None = None,
    previous: Secret | None = None,
    secrets: Collection[Secret] = (),
) -> Verdict:
    """Return what `response` to a token request of `job` means. Never raises, whatever the bytes.

    `sent_at` is when the request was sent: lifetimes count from there. `previous` is the access token that readers
    hold. `secrets` are those that the request carried: an error code that repeats one, in part or whole, is called
    `other`.
    For `malformed`, `error` is the member or the step that failed: `status`, `too_large`, `encoding`, `body`,
    `duplicate`, `access_token`, `token_type`, `expires_in`, `refresh_token`.
    Flags of a token: `refresh_token_rotated`, `unchanged_token`, `expires_in_clamped`, `scope_unreadable`,
    `scope_narrowed`.
    """
    status = response.status
    match status // 100:
        case 3:  # never followed: the secret would go along
            return Rejected(kind="permanent", error=f"http_{status}", status=status)
        case 4 | 5:
            refused = True
        case _ if status in (HTTPStatus.OK, HTTPStatus.CREATED):
            refused = False
        case _:
            return Rejected(kind="malformed", error="status", status=status)
    try:
        members = parse(response)
        code = failure.code_of(members, job.response)
    except UnusableReplyError as error:
        if not refused:
            return Rejected(kind="malformed", error=error.error, status=status)
        members, code = Members(), None  # an error page of any kind: the status says enough
    if refused and not code:
        code = failure.challenge_code(response) or failure.NO_CODE
    if code is not None:
        sent = (*secrets, sent_refresh_token) if sent_refresh_token is not None else secrets
        return failure.rejected(response, members, code, now=sent_at, secrets=sent)
    try:
        token = _token(members, job, sent_at)
    except UnusableReplyError as error:
        return Rejected(kind=error.kind, error=error.error, status=status, refresh_token=_spared(members, job))
    rotated = None not in (token.refresh_token, sent_refresh_token) and token.refresh_token != sent_refresh_token
    flags = ("refresh_token_rotated",) * rotated + ("unchanged_token",) * (token.access_token == previous)
    return Granted(token=replace(token, flags=flags + token.flags), status=status)


def unanswered(error: TransportError) -> Rejected:
    """Return what it means that no whole reply came: try again."""
    return Rejected(kind="transient", error=error.code, why=error.why, lost=error.sent)


def _token(members: Members, job: Job, sent_at: datetime) -> Token:
    """Return the token of an answer without an error, or raise UnusableReplyError."""
    holder, name = members.locate(job.response.access_token or "")
    access_token = fields.access_token(holder, name)
    fields.bearer(holder)
    life = fields.life(members, holder, job.response, sent_at)
    clamped = life is not None and life > fields.LONGEST_LIFE
    if life is None:
        life = _assumed(job.lifetime) or fields.jwt_life(access_token, sent_at)
    refresh_token = fields.refresh_token(holder)
    scope, flags = _scope(members, holder, job)
    return Token(
        access_token=access_token,
        issued_at=sent_at,
        expires_in=None if life is None else min(life, fields.LONGEST_LIFE),
        refresh_in=fields.refresh_in(holder, life),
        refresh_expires_in=fields.refresh_life(holder),
        refresh_token=refresh_token,
        scope=scope,
        extras=fields.extras(members, holder, job.keep),
        flags=("expires_in_clamped",) * clamped + flags,
    )


def _scope(members: Members, holder: Members, job: Job) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return the granted scopes and flags; raise `insufficient_scope` when one is missing that the job requires.

    RFC 6749 section 3.3: a server may grant less than asked, and is silent when it grants as asked. A scope that is
    stated, and empty or past reading, is not silence: nothing that the job requires is known to be granted.
    """
    place, name = members.locate(job.response.scope) if job.response.scope else (holder, "scope")
    said = place.one(name)
    try:
        scope, unreadable = fields.scope(said), False
    except UnusableReplyError:
        scope, unreadable = None, True  # a token is lost for it only where the job requires a scope
    granted = set(scope or (job.scope if said is None else ()))
    if (granted or said is not None) and not granted.issuperset(job.require_scope):
        raise UnusableReplyError("insufficient_scope", "permanent")
    if unreadable:
        return None, ("scope_unreadable",)
    return scope, () if scope is None or granted.issuperset(job.scope) else ("scope_narrowed",)


def _spared(members: Members, job: Job) -> Secret | None:
    """Return the refresh token of an answer that is otherwise no use: the one that was sent may be spent."""
    try:
        holder, _ = members.locate(job.response.access_token or "")
        return fields.refresh_token(holder)
    except UnusableReplyError:
        return None


def _assumed(lifetime: timedelta | None) -> int | None:
    if lifetime is None:
        return None
    return max(1, min(int(lifetime.total_seconds()), fields.LONGEST_LIFE))
