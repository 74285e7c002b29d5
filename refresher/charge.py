"""A job in our care: what is known of it, in memory, between one walk and the next."""

from dataclasses import dataclass, field
from datetime import datetime

from refresher.core import policy
from refresher.core.model import Job, Token
from refresher.core.outcome import Outcome
from refresher.core.policy import Facts, Held, Trouble
from refresher.core.published import StateRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are. `holder` is this daemon's id, `key` keys its fingerprints, `instance` marks what it keeps."""

    instance: str
    holder: str
    key: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Charge:
    """`held` None: nobody has looked yet. `versions` are the check-and-set values, one for each destination."""

    job: Job
    held: tuple[Held | None, ...] | None = None
    versions: tuple[int | None, ...] = ()
    known_ours: bool = False
    record: StateRecord | None = None
    trouble: Trouble | None = None
    fetched_at: datetime | None = None
    unchanged: bool = False
    changed: bool = False  # the configuration asks for another token than the one that stands there
    seen: str = ""  # keyed fingerprint of the access token that readers hold
    refused: str = ""  # keyed fingerprint of a refresh token that was refused: never sent again
    unwritten: Token | None = None
    unkept: bool = False  # the refresh token of `unwritten` is not in the state record yet
    attempts: int = 0
    last: Outcome | None = None
    last_at: datetime | None = None
    warned: str = ""  # what readers' token was last reported as: "expiring" or "expired"

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the destinations holds nothing alive; None: unknown, missing, or never."""
        ends = [one.expires_at if one else None for one in self.held or ()]
        return None if None in ends else min((end for end in ends if end), default=None)

    def facts(self, now: datetime, holder: str, *, force: bool = False) -> Facts:
        """Return what a decision about this job may look at."""
        return Facts(
            now=now,
            job=self.job,
            holder=holder,
            held=self.held or (),
            known_ours=self.known_ours,
            trouble=self.trouble,
            fetched_at=self.fetched_at,
            unchanged=self.unchanged,
            forced=force or self.changed,
        )

    def state(self, now: datetime, holder: str) -> str:
        """Return the one word of `status`: fresh, due, retrying, latched, unknown, unmanaged."""
        if self.held is None:
            return "unknown"
        match policy.decide(self.facts(now, holder)):
            case policy.Halt(reason="unmanaged"):
                return "unmanaged"
            case policy.Halt():
                return "latched"
            case policy.Rotate():
                return "due" if self.trouble is None else "retrying"
            case policy.Wait(reason="backoff"):
                return "latched" if self.trouble is not None and self.trouble.kind == "permanent" else "retrying"
            case policy.Wait():
                return "fresh"
