"""What refresher itself logs in to Vault with, and when that runs out: pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

SOON: Final = timedelta(days=7)
SHARE: Final = 10  # of a short life the last tenth counts as soon: kubelet renews a token when a fifth is left
What: TypeAlias = Literal["secret_id", "token", "jwt", "certificate"]
_REMEDIES: Final = {
    "secret_id": "put a new one in its place",
    "token": "put a new one in its place, or give it a role that renews",
    "jwt": "whoever writes its file does so no more",
    "certificate": "put a new one in its place",
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


def is_soon(one: Perishable, now: datetime) -> bool:
    """Whether it is gone, or ends within a week, or within the last tenth of a life that is shorter."""
    if one.gone or one.ends_at is None:
        return one.gone
    life = one.ends_at - one.issued_at if one.issued_at is not None else SHARE * SOON
    return one.ends_at - now <= min(SOON, life / SHARE)


def why(one: Perishable) -> str:
    """Return what is the matter and what to do, without a time."""
    remedy = _REMEDIES[one.what]
    if one.gone:
        return f"Vault does not know the {one.what} or its role any more, the next login will be refused: {remedy}"
    if one.uses_left is not None:
        uses = "1 login" if one.uses_left == 1 else f"{one.uses_left} logins"
        return f"the {one.what} is good for {uses} more, and each start needs one: make it without a limit of uses"
    return f"the {one.what} that refresher logs in with runs out: {remedy}"
