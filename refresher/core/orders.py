"""What a person has decided of a job at the running daemon, beside what jobs.toml says of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

COOLDOWN: Final = timedelta(seconds=120)  # between two rotations of a job that a person asks for

BY_HAND: Final = "by_hand"  # the flag of a token that a person brought


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """`paused_until`: nothing is done before then. `released`: its paths were handed back, and are left alone.

    `asked_at`: when a person last had it rotated.
    """

    paused_until: datetime | None = None
    released: bool = False
    asked_at: datetime | None = None

    def cools_until(self, now: datetime) -> datetime | None:
        """Return when a person may have it rotated again; None: now. A clock that was set back holds nobody up."""
        if self.asked_at is None or not self.asked_at <= now < self.asked_at + COOLDOWN:
            return None
        return self.asked_at + COOLDOWN


NO_ORDERS: Final = Orders()
