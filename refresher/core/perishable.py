"""What comes to an end besides tokens: what refresher logs in to Vault with, and what stands behind its jobs. Pure.

Rules of this module:
- It is told of 30, 14, 7 and 1 days before, as far as a third of its whole life allows; of what lives for less than
  three days, in its last tenth. Where the life is not known, it is taken to be long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core.model import Token

DAYS: Final = tuple(timedelta(days=days) for days in (30, 14, 7, 1))
PART: Final = 3  # of a life that is known, none is told of before this part of it is left
SHARE: Final = 10  # of a short life the last tenth counts as soon: kubelet renews a token when a fifth is left
LoginWhat: TypeAlias = Literal["secret_id", "token", "jwt", "certificate"]
JobWhat: TypeAlias = Literal["client_secret", "refresh_token", "client_certificate", "signing_certificate"]
Life: TypeAlias = tuple[datetime, datetime]
What: TypeAlias = LoginWhat | JobWhat
_REMEDIES: Final[Mapping[What, str]] = {
    "secret_id": "put a new one in its place",
    "token": "put a new one in its place, or give it a role that renews",
    "jwt": "whoever writes its file does so no more",
    "certificate": "put a new one in its place",
    "client_secret": "get a new one at the provider, put it in its place, and change client_secret_expires",
    "refresh_token": "give consent anew, by refresher authorize, or as the provider has it",
    "client_certificate": "put a new one in its place, and make it known to the provider",
    "signing_certificate": "put a new one in its place, and make it known to the provider",
}
_OF_JOBS: Final[Mapping[What, str]] = {
    "client_secret": "the client secret",
    "refresh_token": "the refresh token",
    "client_certificate": "the certificate that the client shows",
    "signing_certificate": "the certificate of the key that signs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Perishable:
    """One of them. `ends_at` None: it does not end, or nobody says. `uses_left` None: as often as one likes.

    `gone`: Vault does not know it any more; what was logged in with it lives on for a while.
    """

    what: What
    issued_at: datetime | None = None
    ends_at: datetime | None = None
    uses_left: int | None = None
    gone: bool = False


def threshold(one: Perishable, now: datetime) -> timedelta | None:
    """Return how long before its end the warning comes that is in force now; None: it is too early for any."""
    if one.ends_at is None:
        return None
    spans: list[timedelta] = list(DAYS)
    if one.issued_at is not None:
        life = one.ends_at - one.issued_at
        spans = [span for span in DAYS if span * PART <= life] or [life / SHARE]
    return min((span for span in spans if one.ends_at - now <= span), default=None)


def is_soon(one: Perishable, now: datetime) -> bool:
    """Whether it is gone, or so near to its end that somebody is told."""
    return one.gone or threshold(one, now) is not None


def is_limited(one: Perishable, now: datetime) -> bool:
    """Whether somebody has to do something about it, now or soon: it ends, or each start uses up some of it."""
    return one.uses_left is not None or is_soon(one, now)


def limited(logins: Mapping[str, Perishable], now: datetime) -> list[tuple[str, Perishable]]:
    """Return the logins that somebody has to see to, by cluster ("default": the one without a name)."""
    return [(name or "default", one) for name, one in sorted(logins.items()) if is_limited(one, now)]


def why(one: Perishable) -> str:
    """Return what is the matter and what to do, without a time."""
    remedy = _REMEDIES[one.what]
    if one.what in _OF_JOBS:
        return f"{_OF_JOBS[one.what]} runs out, and no new token is issued then: {remedy}"
    if one.gone:
        return f"Vault does not know the {one.what} or its role any more, the next login will be refused: {remedy}"
    if one.uses_left is not None:
        uses = "1 login" if one.uses_left == 1 else f"{one.uses_left} logins"
        return f"the {one.what} is good for {uses} more, and each start needs one: make it without a limit of uses"
    return f"the {one.what} that refresher logs in with runs out: {remedy}"


def client_secret(expires: date) -> Perishable:
    """Return a client secret that ends with the beginning of a day, in UTC: nobody says at which hour it does."""
    return Perishable(what="client_secret", ends_at=datetime.combine(expires, time(), UTC))


def refresh_token_life(token: Token, before: Life | None) -> Life | None:
    """Return from when until when the refresh token lives that is held once `token` was issued; None: nobody says.

    `before`: the life of the one that was held until then.
    """
    if token.refresh_expires_in is not None:
        begins = token.issued_at.replace(microsecond=0)
        return begins, begins + timedelta(seconds=token.refresh_expires_in)
    return before if token.refresh_token is None else None
