"""How one job stands, as a value: what the status page and the metrics show, and nothing secret."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core.facts import TroubleKind
from refresher.core.perishable import Perishable
from refresher.core.remembered import Attempted
from refresher.core.shadow import Theirs

Need: TypeAlias = Literal["", "dead", "latched", "unmanaged", "expiring"]

STATES: Final = ("fresh", "due", "retrying", "latched", "unknown", "paused", "unmanaged")
GRACE: Final = timedelta(seconds=10)  # a rotation that is a little late is no news
# The worst first. Who needs nobody comes after all who do.
_NEEDS: Final[tuple[Need, ...]] = ("dead", "unmanaged", "latched", "expiring", "")
_STATES: Final = ("unmanaged", "latched", "retrying", "unknown", "due", "paused", "fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """`state` is one of STATES. `alive`: whether readers find a live token at every path; None: nobody has looked yet.

    `failures` are those in a row, `kind` and `error` (a code) the last of them, `since` when they began.
    `due_since`: since when a rotation is due that has not come about. `promised` is the life
    that readers may count on. `places` are its Vault paths, as text, with the version that stands at each;
    `behind` are those of them that lack the newest token, with the code of what failed there,
    `beside`, in shadow mode, what somebody else keeps at the paths that the job will take over.
    `secrets` are what stands behind it and comes to an end. `node`: in a fleet, which has it in hand, or had it last.
    """

    name: str
    provider: str
    state: str
    alive: bool | None
    issued_at: datetime | None
    expires_at: datetime | None
    renew_at: datetime | None
    promised: timedelta | None
    failures: int
    kind: TroubleKind | None
    error: str
    status: int
    since: datetime | None
    due_since: datetime | None
    last: Attempted | None
    places: tuple[tuple[str, int | None], ...]
    behind: Mapping[str, str] = field(default_factory=dict)
    beside: tuple[Theirs, ...] = ()
    secrets: tuple[Perishable, ...] = ()
    node: str = ""

    def left(self, now: datetime) -> timedelta | None:
        """Return the life that is left; None: none is known, or it has no end."""
        return None if self.expires_at is None else self.expires_at - now

    def need(self, now: datetime) -> Need:
        """Return what a person is needed for; `""`: for nothing."""
        left = self.left(now)
        if self.alive is False or (left is not None and left <= timedelta()):
            return "dead"
        if self.state == "unmanaged":
            return "unmanaged"
        if self.state == "latched":
            return "latched"
        short = self.promised is not None and left is not None and left < self.promised - GRACE
        return "expiring" if short and self.failures else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """The nodes of a fleet by name, as one of them sees the others. `away`: it can't see them, since PostgreSQL is."""

    alive: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    away: bool = False

    @property
    def words(self) -> str:
        """How they stand, in a few words."""
        total = len(self.alive) + len(self.gone)
        if self.away:
            return "PostgreSQL is away: what other nodes did is not known"
        if self.gone:
            verb = "is" if len(self.gone) == 1 else "are"
            return f"{len(self.alive)} of {total} nodes: {', '.join(self.gone)} {verb} gone"
        return f"{total} node{'' if total == 1 else 's'}"


def worst_first(views: Iterable[JobView], now: datetime) -> list[JobView]:
    """Return `views` in the order in which a person looks at them: by need, state, the least life left, and name.

    Those that are well stand by name alone: rows that change places at each rotation can't be read.
    """

    def key(view: JobView) -> tuple[int, int, float, str]:
        need, well = view.need(now), view.state in ("fresh", "due", "paused")
        ends = float("inf") if view.expires_at is None or (well and not need) else view.expires_at.timestamp()
        return _NEEDS.index(need), _STATES.index("fresh" if view.state == "due" else view.state), ends, view.name

    return sorted(views, key=key)


def oldest_due(views: Iterable[JobView], now: datetime) -> float:
    """Return for how many seconds the most overdue job has been due."""
    return max(((now - one.due_since).total_seconds() for one in views if one.due_since is not None), default=0.0)
