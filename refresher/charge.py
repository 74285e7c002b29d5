"""A job in our care: what is known of it, in memory, between one walk and the next."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from refresher.core import policy
from refresher.core.model import Job, Token
from refresher.core.outcome import Outcome
from refresher.core.policy import Facts, Held, Trouble
from refresher.core.published import StateRecord
from refresher.core.secret import Secret


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
    unkept: Secret | None = None  # a refresh token that was issued and is not in the state record yet
    attempts: int = 0
    last: Outcome | None = None
    last_at: datetime | None = None
    warned: str = ""  # what readers' token was last reported as: "expiring" or "expired"

    @property
    def pending(self) -> bool:
        """Whether something was issued that is not in Vault yet."""
        return self.unwritten is not None or self.unkept is not None

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the destinations holds nothing alive; None: unknown, missing, or never."""
        ends = [one.expires_at if one else None for one in self.held or ()]
        return None if None in ends else min((end for end in ends if end), default=None)

    def succeeded_by(self, job: Job) -> "Charge":
        """Return the charge of the same job after its configuration changed: what stands is looked at afresh."""
        asks = [
            (one.token_url, one.grant, one.client_auth, one.client_id, one.username, one.scope, one.params)
            for one in (self.job, job)
        ]
        return replace(self, job=job, held=None, versions=(), trouble=None, changed=asks[0] != asks[1] or self.changed)

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
