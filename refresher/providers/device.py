"""Consent by a code that is typed in on another device (RFC 8628). Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from refresher.core.job import USUAL_REPLY, Consent, Job
from refresher.core.model import HttpRequest, HttpResponse, Rejected
from refresher.core.secret import Secret
from refresher.providers import failure, fields
from refresher.providers.body import Members, UnusableReplyError, parse
from refresher.providers.client_auth import prove
from refresher.providers.consent import CODE, Grant, scope_of
from refresher.providers.request import carry

SLOWER: Final = timedelta(seconds=5)  # section 3.5: what `slow_down` adds
LONGEST_INTERVAL: Final = timedelta(minutes=1)  # of polling at a server that fails
_USUAL_INTERVAL: Final = 5  # seconds, where the server names none (section 3.2)
_SLOWEST: Final = 3600  # seconds; a server that wants less is not asked again
_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_USER_CODE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,62}[\x21-\x7e])?")
_ADDRESS: Final = re.compile(r"https?://[\x21-\x7e]{1,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """The answer of a device authorization endpoint (section 3.2); `complete` is "" where there is none."""

    device_code: Secret
    user_code: str
    verification_uri: str
    complete: str
    lifetime: timedelta
    interval: timedelta


def request(job: Job, consent: Consent, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> HttpRequest:
    """Return the device authorization request (section 3.1); `nonce` must be new, see request.build."""
    proof = prove(job, secrets, now=now, nonce=nonce, endpoint=consent.url)
    fields = {"client_id": job.client_id, **scope_of(job)}
    return carry(replace(job, token_url=consent.url, params=consent.params), fields, proof)


def grant(device: DeviceCode) -> Grant:
    """Return what asks whether somebody consented (section 3.4)."""
    return Grant(public={"grant_type": _GRANT}, secret={"device_code": device.device_code})


def answer(response: HttpResponse, *, sent_at: datetime, secrets: tuple[Secret, ...]) -> DeviceCode | Rejected:
    """Return what a device authorization endpoint answered, Rejected where that is of no use. Never raises."""
    try:
        members = parse(response)
        code = failure.code_of(members, USUAL_REPLY)
    except UnusableReplyError as error:
        members, code = Members(), None
        if response.status == HTTPStatus.OK:
            return Rejected(kind="malformed", error=error.error, status=response.status)
    if code is not None or response.status != HTTPStatus.OK:
        return failure.rejected(response, members, code or failure.NO_CODE, now=sent_at, secrets=secrets)
    try:
        return DeviceCode(
            device_code=Secret(_text(members, CODE, "device_code")),
            user_code=_text(members, _USER_CODE, "user_code"),
            verification_uri=_text(members, _ADDRESS, "verification_uri", "verification_url"),  # the latter: Google
            complete=_complete(members),
            lifetime=_lifetime(members, sent_at),
            interval=timedelta(seconds=_interval(members)),
        )
    except UnusableReplyError as error:
        return Rejected(kind="malformed", error=error.error, status=response.status)


def next_interval(interval: timedelta, rejected: Rejected) -> timedelta | None:
    """Return how long to wait before the next poll; None: it is over (section 3.5)."""
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
    """Return the pause between polls in seconds."""
    value = members.one("interval")
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        return _USUAL_INTERVAL
    return min(max(int(value), 1), _SLOWEST)
