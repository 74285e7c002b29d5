"""What a decision about a job may look at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from refresher.core.job import Job
from refresher.core.orders import NO_ORDERS, Orders

TroubleKind: TypeAlias = Literal["transient", "malformed", "permanent", "store", "outage", "internal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What stands at one destination. `ours`: it bears this instance's mark for this job."""

    version: int | None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    ours: bool = True

    def is_over(self, now: datetime) -> bool:
        """Whether it has expired, or Vault has deleted it as it said it would."""
        return self.expires_at is not None and now >= self.expires_at

    @property
    def lifetime(self) -> timedelta | None:
        """The whole life it had when issued, where both ends are known and in order."""
        if self.issued_at is None or self.expires_at is None or self.expires_at <= self.issued_at:
            return None
        return self.expires_at - self.issued_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Failures in a row. `retry_at` None: latched until the credential or the config changes (`credential` differs)."""

    kind: TroubleKind
    error: str
    status: int = 0
    count: int
    since: datetime
    retry_at: datetime | None
    retry_after: int | None = None
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision may look at.

    `held` has one entry for each destination, None where nothing stands; but none for those that lack the newest token:
    `behind_at` is when these are tried again.
    `hint` is when the provider said to come back, `scheduled` the next time on the job's calendar, `kept_at` when its
    refresh token was last changed. `known_ours`: every path where a stranger's secret stands is known to be ours.
    `unknown`: nobody knows whether its grant was spent. `leased_until`: until then another daemon may be spending it.
    `replay_until`: until then a spent refresh token may be sent again. `record_ends`: when Vault deletes the state
    record, and the refresh token in it. `orders`: what a person has decided of the job. `vetoed_until`: until then a
    hook wants no rotation.
    """

    now: datetime
    job: Job
    holder: str
    held: tuple[Held | None, ...]
    known_ours: bool = False
    trouble: Trouble | None = None
    fetched_at: datetime | None = None
    unchanged: bool = False
    forced: bool = False
    hint: datetime | None = None
    scheduled: datetime | None = None
    kept_at: datetime | None = None
    behind_at: datetime | None = None
    unknown: bool = False
    leased_until: datetime | None = None
    replay_until: datetime | None = None
    record_ends: datetime | None = None
    orders: Orders = NO_ORDERS
    vetoed_until: datetime | None = None
