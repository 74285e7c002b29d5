"""How long a Vault token lives: pure.

Times are seconds of the monotonic clock, counted from when the request was sent; `None` means for ever.
"""

from dataclasses import dataclass, replace
from typing import Final

from refresher.core.secret import Secret
from refresher.vault.answers import Reply

RENEW_SHARE: Final = 2 / 3
RETRY_SHARE: Final = 1 / 10
RETRY_FLOOR: Final = 1.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One token: `ours` when we logged in for it; `life` what was granted, `None` for ever or unknown."""

    token: Secret
    ours: bool
    renewable: bool
    life: float | None
    ends: float | None
    renew_at: float | None
    index: str = ""  # what a node must have seen to know the token

    def is_alive(self, now: float) -> bool:
        return self.ends is None or now < self.ends

    def later(self, now: float) -> "Lease":
        """Put the next renewal off after one that failed: a tenth of what is left, at least a second."""
        left = (self.ends or now) - now
        return replace(self, renew_at=now + max(left * RETRY_SHARE, RETRY_FLOOR))


def is_token(text: str) -> bool:
    """Whether `text` can be a token: printable ASCII without a space, as a header's value takes it."""
    return bool(text) and all("!" <= character <= "~" for character in text)


def from_login(reply: Reply, asked: float) -> Lease | None:
    """Read the answer to a login; `None` when it grants no token."""
    auth = reply.member("auth")
    token = auth.get("client_token")
    if reply.status != 200 or not isinstance(token, str) or not is_token(token):  # noqa: PLR2004  # HTTP
        return None
    renewable = auth.get("renewable") is True
    lease = _lease(Secret(token), auth.get("lease_duration"), asked, ours=True, renewable=renewable)
    return replace(lease, index=reply.index)


def from_lookup(reply: Reply, token: Secret, asked: float) -> Lease:
    """Read the answer to lookup-self of a given token; one that may not look itself up has an unknown life."""
    renewable = reply.data.get("renewable") is True
    return _lease(token, reply.data.get("ttl"), asked, ours=False, renewable=renewable)


def extended(lease: Lease, reply: Reply, asked: float) -> Lease | None:
    """Read the answer to renew-self; `None` when nothing was granted.

    A shorter life than before means that the token's max_ttl is near: it is not renewed again.
    """
    granted = reply.member("auth").get("lease_duration")
    life = _life(granted)
    if reply.status != 200 or life is None:  # noqa: PLR2004  # HTTP
        return None
    capped = lease.life is not None and life < lease.life
    renewed = _lease(lease.token, granted, asked, ours=lease.ours, renewable=not capped)
    return replace(renewed, index=lease.index)


def _lease(token: Secret, granted: object, asked: float, *, ours: bool, renewable: bool) -> Lease:
    life = _life(granted)
    useful = life is not None and (ours or renewable)  # else nothing can be done at two thirds
    return Lease(
        token=token,
        ours=ours,
        renewable=renewable,
        life=life,
        ends=None if life is None else asked + life,
        renew_at=asked + life * RENEW_SHARE if life is not None and useful else None,
    )


def _life(granted: object) -> float | None:
    if not isinstance(granted, int) or isinstance(granted, bool) or granted <= 0:
        return None
    return float(granted)
