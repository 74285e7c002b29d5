"""The members of a token answer, each read by one function (RFC 6749 section 5.1).

Every function raises `UnusableReplyError` with the member's name where a value can't be trusted. Nothing is trimmed or
repaired: half a credential is worse than none.
"""

import base64
import json
import re
from datetime import UTC, datetime
from typing import Final

from refresher.core.job import ResponseMap
from refresher.core.secret import Secret
from refresher.providers.body import Members, UnusableReplyError

LONGEST_LIFE: Final = 2**31 - 1  # seconds; golang.org/x/oauth2 clamps there too
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,65536}")  # RFC 6749 appendix A.12, without the space
_DIGITS: Final = re.compile(r"[0-9]{1,308}")  # a double holds no longer number
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
# A longer list is no scope but an accident, and goes to Vault and to readers.
_MOST_SCOPES: Final = 1000
_LONGEST_SCOPE: Final = 16_384

_BEARER: Final = frozenset(
    (
        "",
        "bearer",
        "bearertoken",  # Apigee
        "application access token",  # eBay
        "user access token",
        "bot",  # Slack
        "user",
    )
)
_JWT_PARTS: Final = 3
_EPOCH_FROM: Final = 1_349_067_600  # seconds; `expires` from here on is a moment (the league's oauth2-client)
_MILLISECONDS_FROM: Final = 100_000_000_000  # as seconds the year 5138: such a moment is in milliseconds


def access_token(holder: Members, name: str | None) -> Secret:
    """Return the access token, at the member `name` or the usual ones."""
    value = holder.one(name) if name else holder.one("access_token", "accessToken")
    return _token(value, "access_token")


def refresh_token(holder: Members) -> Secret | None:
    """Return the refresh token; absent, null or "" means None: keep the old one (RFC 6749 section 6)."""
    value = holder.one("refresh_token", "refreshToken")
    return None if value is None or value == "" else _token(value, "refresh_token")


def bearer(holder: Members) -> None:
    """Raise unless the token is a bearer token, by any of the names in use; a missing type means bearer."""
    value = holder.one("token_type", "tokenType")
    if value is None:
        return
    if not isinstance(value, str):
        raise UnusableReplyError("token_type")
    if value.lower() not in _BEARER:
        raise UnusableReplyError("unsupported_token_type", "permanent")


def life(members: Members, holder: Members, where: ResponseMap, sent_at: datetime) -> int | None:
    """Return the lifetime in whole seconds from `sent_at`, 1 or more, not clamped; None when the reply says none.

    `expires_in_sec` wins over `expires_in` (Zoho sends milliseconds in the latter), both over the moments.
    """
    if where.expires_in is not None:
        place, name = members.locate(where.expires_in)
        return _span_or_moment(place.one(name), where.expires_in_unit, sent_at)
    for names, unit in ((("expires_in_sec",), "s"), (("expires_in", "expiresIn"), where.expires_in_unit)):
        if seconds := _whole(holder.one(*names), unit):
            return seconds
    for names in (("expires_on",), ("expires_at", "expiresAt"), ("expires",)):
        if span := _span_or_moment(holder.one(*names), "s", sent_at):
            return span
    return None


def refresh_in(holder: Members, life: int | None) -> int | None:
    """Return after how many seconds the provider wants to be asked again (Entra ID); a senseless hint is no hint."""
    try:
        hint = _whole(holder.one("refresh_in"), "s")
    except UnusableReplyError:
        return None
    return hint if 0 < hint < min(life or LONGEST_LIFE, LONGEST_LIFE) else None


def refresh_life(holder: Members) -> int | None:
    """Return the seconds that the refresh token lives (Keycloak, LinkedIn, GitHub, ...); 0 is Keycloak's for ever."""
    for name in ("refresh_expires_in", "refresh_token_expires_in"):
        try:
            if seconds := _whole(holder.one(name), "s"):
                return min(seconds, LONGEST_LIFE)
        except UnusableReplyError:
            continue  # never lose a token for it
    return None


def jwt_life(token: Secret, sent_at: datetime) -> int | None:
    """Return the lifetime that the token itself states, where it is a JWT with `exp` (RFC 7519 section 4.1.4).

    Nothing is trusted for it but a moment to renew by: the signature is the readers' business.
    """
    parts = token.reveal().split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        left = int(claims["exp"] - sent_at.timestamp())
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None
    return left if 1 <= left <= LONGEST_LIFE else None


def scope(value: object) -> tuple[str, ...] | None:
    """Return the granted scopes; None when the reply does not say. Separated by white space, or else by commas."""
    match value:
        case None:
            return None
        case str():
            words = value.split()
            parts = words[0].split(",") if len(words) == 1 else words
        case list() if all(isinstance(part, str) for part in value):
            parts = value
        case _:
            raise UnusableReplyError("scope")
    total = " ".join(parts)
    if len(parts) > _MOST_SCOPES or len(total) > _LONGEST_SCOPE or not total.isprintable():
        raise UnusableReplyError("scope")
    return tuple(part for part in parts if part) or None


def extras(members: Members, holder: Members, keep: tuple[str, ...]) -> dict[str, Secret]:
    """Return the members named in `keep` that are text; one that UTF-8 can't hold is left out."""
    found = {name: holder.one(name) or _at(members, name) for name in keep}
    return {
        name: Secret(value) for name, value in found.items() if isinstance(value, str) and not _SURROGATE.search(value)
    }


def _at(members: Members, path: str) -> object:
    holder, name = members.locate(path)
    return holder.one(name)


def _token(value: object, member: str) -> Secret:
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise UnusableReplyError(member)
    return Secret(value)


def _whole(value: object, unit: str) -> int:
    """Return a span in whole seconds, rounded down; 0 when nothing is said (0, null, "")."""
    if isinstance(value, str):
        digits = value.strip(" \t\r\n")
        if digits and _DIGITS.fullmatch(digits) is None:
            raise UnusableReplyError("expires_in")
        value = int(digits or 0)
    if value is None:
        return 0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise UnusableReplyError("expires_in")
    return int(value // (1000 if unit == "ms" else 1))


def _span_or_moment(value: object, unit: str, sent_at: datetime) -> int | None:
    """Return a span from a number of seconds, from a moment since the epoch, or from a moment as ISO 8601 writes it."""
    now = sent_at.timestamp()
    if isinstance(value, str) and (moment := _iso(value)) is not None:
        left = moment - now
    else:
        number = _whole(value, unit)
        if number <= _EPOCH_FROM:
            return number or None
        left = (number / 1000 if number >= _MILLISECONDS_FROM else number) - now
    if left < 1:  # dead on arrival: the moment or our clock is wrong
        raise UnusableReplyError("expires_in")
    return int(left)


def _iso(text: str) -> float | None:
    """Return the moment of an ISO 8601 text with a date and a time, in UTC unless it says otherwise."""
    if "-" not in text or ":" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
