"""A job in our care: what is known of it, in memory, between one walk and the next."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from refresher.core.entry import Entry
from refresher.core.errors import AwaitedSecretError
from refresher.core.job import Job, asked_for
from refresher.core.model import Location, Token
from refresher.core.orders import NO_ORDERS, Orders
from refresher.core.outcome import Outcome
from refresher.core.perishable import Life, Perishable
from refresher.core.policy import Facts, Held, Trouble
from refresher.core.published import Intent, StateRecord
from refresher.core.remembered import Attempted, Seen
from refresher.core.secret import Secret
from refresher.core.shadow import Theirs
from refresher.ports import Clock

MOMENT: Final = timedelta(milliseconds=1)
NEVER: Final = datetime.max.replace(tzinfo=UTC)
NONE: Final[Mapping[Location, Trouble]] = MappingProxyType({})
NOWHERE: Final = frozenset[str]()  # each frozenset() is another one
Tried: TypeAlias = Literal["", "taken", "refused", "unknown"]
Slot: TypeAlias = Literal["", "reserved", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """This daemon's id, the mark of what it keeps, the fleet that it is a node of, and the key of its fingerprints."""

    instance: str
    holder: str
    key: bytes = field(repr=False)
    fleet: str = ""

    @property
    def seed(self) -> str:
        return self.fleet or self.holder


@dataclass(slots=True, kw_only=True)
class Charge:
    """`held` None: nobody has looked yet. `versions` are the check-and-set values, one for each destination.

    `latch` is the provider's last word where that was a refusal for good; `trouble` is any other trouble. They stand
    apart, so that a Vault that stumbles meanwhile does not open a latch.
    """

    job: Job
    held: tuple[Held | None, ...] | None = None
    versions: tuple[int | None, ...] = ()
    blind: bool = False  # the last look failed
    known_ours: tuple[Location, ...] = ()  # the paths that are ours, whatever stands there now
    record: StateRecord | None = None
    latch: Trouble | None = None
    trouble: Trouble | None = None
    reckoned: datetime | None = None  # the time that was last decided by
    reckoned_at: float = 0.0  # and the monotonic time of then
    fetched_at: datetime | None = None
    unchanged: bool = False
    changed: bool = False  # the configuration asks for another token than the one that stands there
    hint: datetime | None = None  # when the provider said to come back for the next token
    scheduled: datetime | None = None  # the first time on the job's calendar after its token was issued
    seen: str = ""  # keyed fingerprint of the access token that readers hold
    refresh_life: Life | None = None  # from when until when the refresh token lives, where the provider says so
    perishables: tuple[Perishable, ...] = ()  # what stands behind the job and comes to an end, as it was last seen
    refused: str = ""  # keyed fingerprint of a refresh token that was refused: never sent again
    unwritten: Token | None = None
    owed: Token | None = None  # the newest token, where some destination has it and another lacks it
    behind: Mapping[Location, Trouble] = field(default_factory=lambda: NONE)  # the destinations that lack it, and why
    away: frozenset[str] = NOWHERE  # the clusters that did not answer in the last walk
    shut: Collection[str] = ()  # the clusters that are known to be away: nobody waits for them
    theirs: tuple[Theirs, ...] = ()  # in shadow mode, what stands at the paths that it will take over
    shadowed: frozenset[str] = frozenset()  # the paths that it stood beside: they are its own once it writes there
    tried: Tried = ""  # what came of trying `unwritten`, where the job has that done
    unkept: Secret | None = None  # a refresh token that was issued and is not in the state record yet
    intent: Intent | None = None  # ours, from before the request until the state record is idle again
    settled: tuple[str, ...] = ()  # nonces of intents that are known to have spent nothing
    recalled: bool = False  # the journal was read
    slot: Slot = ""  # of the journal: one is set apart, or none could be had, and that was told
    journalled: bool = False  # the answer in hand is in it
    unknown: bool = False  # nobody knows whether the grant of the record's intent was spent
    told: str = ""  # nonce of the intent that was told of as unknown
    watched: tuple[str, datetime] | None = None  # another's intent: its nonce, and since when it stands there
    leased_until: datetime | None = None  # until then another daemon may be spending the grant
    replay_until: datetime | None = None  # until then a refresh token that may be spent may be sent again all the same
    vetoed_until: datetime | None = None  # until then a hook wants no rotation
    newest: Seen | None = None  # the newest state record that was seen, by an earlier process too
    went_back: bool = False  # the state record is an older one than that
    attempts: int = 0
    attempted: Attempted | None = None  # the last attempt at a rotation, of an earlier process too
    last: Outcome | None = None
    last_at: datetime | None = None
    node: str = ""  # in a fleet, the node that has it in hand, or had it last
    carried: bool = False  # what the job had under its old name is under the new one
    former: "Charge | None" = None  # the job under its old name, while that is brought over
    leaving: bool = False  # its job is no longer configured: only what was issued is still written
    orders: Orders = NO_ORDERS  # what a person has decided of it, of an earlier process too
    warned: str = ""  # what readers' token was last reported as: "expiring" or "expired"
    decided: tuple[Any, ...] = field(default=(), compare=False)  # the last wait that was decided on: decided.py's own

    @property
    def pending(self) -> bool:
        """Whether something was issued that is not in Vault yet, other than a refresh token that nobody uses."""
        return self.unwritten is not None or (self.unkept is not None and self.job.irreplaceable)

    @property
    def unmoved(self) -> bool:
        """Whether its state record may stand under its old name still."""
        return bool(self.job.moved_from) and self.job.irreplaceable and not self.carried

    @property
    def awaits(self) -> bool:
        """Whether it came to nothing since another job has yet to write the token that this one exchanges."""
        return self.last is not None and self.last.error == AwaitedSecretError.code

    @property
    def holding(self) -> Trouble | None:
        """The trouble that holds the job back longest; None: all is well."""
        if self.latch is None or self.trouble is None:
            return self.latch or self.trouble
        return max(self.latch, self.trouble, key=lambda one: one.retry_at or NEVER)

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the destinations holds nothing alive; None: unknown, missing, or never."""
        ends = [one.expires_at if one else None for _, one in self.standing]
        return None if None in ends else min(ends, default=None)  # type: ignore[type-var]  # mypy does not see that None is not among them

    @property
    def ailing(self) -> Trouble | None:
        """The trouble to tell of: what holds the job back, else the first that left a destination behind."""
        return self.holding or min(self.behind.values(), key=lambda one: one.since, default=None)

    @property
    def standing(self) -> tuple[tuple[Location, Held | None], ...]:
        """What stands at its destinations, but for those that could not be read yet: nobody knows of these."""
        if self.held is None:
            return ()
        known = zip_longest(self.job.destinations, self.held, self.versions)
        return tuple((place, one) for place, one, at in known if one or at is not None or place not in self.behind)

    @property
    def places(self) -> tuple[tuple[Location, int | None], ...]:
        """Its destinations with the version that stands at each, None where that is not known."""
        return tuple(zip_longest(self.job.destinations, self.versions))

    def take_up(self, found: Entry, *, journalled: bool) -> None:
        """Have in hand what an earlier process was given, and could not bring to Vault, or what Vault has lost."""
        self.intent = Intent(nonce=found.nonce, generation=found.generation)
        self.unkept, self.unwritten, self.tried = found.refresh_token, found.token, ""
        self.journalled, self.unknown, self.leased_until = journalled, found.refresh_token is None, None

    def now(self, clock: Clock) -> datetime:
        """Return the time to decide by: the wall clock's, never back between two grants, and still for a moment."""
        wall, ticks, then = clock.now(), clock.monotonic(), self.reckoned
        if then is not None:
            passed = timedelta(seconds=ticks - self.reckoned_at)
            if passed < MOMENT and wall - then < MOMENT:
                return then
            wall = max(wall, then + passed)
        self.reckoned, self.reckoned_at = wall, ticks
        return wall

    def reckon(self, clock: Clock) -> None:
        """Reckon time from now on, since a grant came: nothing holds the job back, whatever clock it was noted by."""
        now = clock.now()
        self.reckoned, self.reckoned_at = now, clock.monotonic()
        self.fetched_at = None if self.fetched_at is None else min(self.fetched_at, now)
        if self.trouble is not None:
            self.trouble = replace(self.trouble, since=min(self.trouble.since, now), retry_at=now)
        if self.latch is not None:
            self.latch = replace(self.latch, since=min(self.latch.since, now), retry_at=now)

    def retry_now(self) -> None:
        """Let its trouble no longer hold it back; what was told of it is not told again."""
        if self.trouble is not None:
            self.trouble = replace(self.trouble, retry_at=self.trouble.since)

    def relieve(self, *, by_hand: bool) -> Trouble | None:
        """Let nothing hold the job back, and return what did; a token that a person brought speaks for Vault alone."""
        if by_hand:
            if self.trouble is not None and self.trouble.kind in ("store", "outage"):
                self.trouble = None
            return None
        before, self.latch, self.trouble = self.latch or self.trouble, None, None
        return before

    def open_latch(self) -> None:
        """Let nothing of the latch hold the job back; it stays on record, so that its recovery is told."""
        if self.latch is not None:
            self.trouble, self.latch, self.refused = replace(self.latch, retry_at=self.latch.since), None, ""

    def succeeded_by(self, job: Job, *, moved: Collection[str] = ()) -> "Charge":
        """Return the charge of the same job after its configuration changed: what stands is looked at afresh.

        A latch is left to the next walk, which opens it where the job asks for another thing than was refused.
        `moved`: clusters that are others than before, where no path is known to be ours.
        """
        changed = self.changed or asked_for(self.job) != asked_for(job)
        ours = (*self.known_ours, *self.job.observed)  # who was in shadow mode takes over what it stood beside
        known_ours = tuple(place for place in dict.fromkeys(ours) if place.cluster not in moved)
        carried = self.carried and self.job.moved_from == job.moved_from
        afresh = replace(self, job=job, held=None, versions=(), record=None, trouble=None, carried=carried, former=None)
        return replace(afresh, changed=changed, known_ours=known_ours, leaving=False, owed=None, behind=NONE, theirs=())

    def inherited_by(self, heir: "Charge") -> "Charge":
        """Return the charge of the same job under its new name: what is known of it goes on."""
        after = self.succeeded_by(heir.job)
        after.orders = self.orders if heir.orders == NO_ORDERS else heir.orders
        return replace(after, leaving=heir.leaving, recalled=False, carried=False, last=None, last_at=None)

    def facts(self, now: datetime, holder: str, *, force: bool = False) -> Facts:
        """Return what a decision about this job may look at."""
        all_held = self.held or ()
        standing = tuple(zip(self.job.destinations, all_held, strict=False))
        served = tuple(one for place, one in standing if place not in self.behind) if self.behind else all_held
        return Facts(
            now=now,
            job=self.job,
            holder=holder,
            held=served or tuple(one for one in all_held if one is not None),
            behind_at=min(one.retry_at or NEVER for one in self.behind.values()) if self.behind else None,
            known_ours=all(place in self.known_ours for place, one in standing if one is not None and not one.ours),
            trouble=self.holding,
            fetched_at=self.fetched_at,
            unchanged=self.unchanged,
            forced=force or self.changed,
            hint=self.hint,
            scheduled=self.scheduled,
            kept_at=self._kept_at(),
            unknown=self.unknown,
            leased_until=self.leased_until,
            replay_until=self.replay_until,
            vetoed_until=self.vetoed_until,
            orders=self.orders,
            record_ends=self.record.deletion_time if self.record is not None and self.job.irreplaceable else None,
        )

    def _kept_at(self) -> datetime | None:
        """When the refresh token was last used: when it was kept, or when it fetched the token that stands."""
        if self.record is None or self.record.refresh_token is None:
            return None
        uses = [self.record.updated_at, *(one.issued_at for one in self.held or () if one is not None)]
        return max((use for use in uses if use is not None), default=None)
