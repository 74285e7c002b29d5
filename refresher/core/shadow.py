"""A job in shadow mode beside the owner of its paths: what stands there, and how that compares with its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core.errors import StoreError
from refresher.core.events import Event, Field, Level
from refresher.core.fields import OWN
from refresher.core.model import Absent, Found, Location
from refresher.core.policy import Held
from refresher.core.published import stamp

Standing: TypeAlias = Literal["well", "short", "dead", "missing", "unread", "unknown"]

SUFFIX: Final = "-shadow"
GRACE: Final = timedelta(seconds=10)  # a rotation that is a little late is no news
_BAD: Final = ("short", "dead", "missing")


def of(place: Location) -> Location:
    """Return where a job in shadow mode writes instead of `place`."""
    return Location(cluster=place.cluster, mount=place.mount, path=place.path + SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What the owner of a path keeps there, as it was seen last.

    `expires_at`: as it states, or else (`estimated`) from the age that Vault tells and the lifetime of our token; None
    where neither is known. `lowest_left` is the least life that was ever seen there. `same`: it is the token that we
    have. `lacking` are members that its readers find there, and not at ours.
    """

    place: Location
    version: int | None = None
    standing: Standing
    error: str = ""
    expires_at: datetime | None = None
    estimated: bool = False
    lowest_left: timedelta | None = None
    same: bool = False
    lacking: tuple[str, ...] = ()

    def as_json(self, now: datetime) -> dict[str, object]:
        """Return it as `status --json` prints it."""
        return {
            "path": str(self.place),
            "version": self.version,
            "standing": self.standing,
            "error": self.error or None,
            "expires_at": None if self.expires_at is None else stamp(self.expires_at),
            "life_left_s": None if self.expires_at is None else round((self.expires_at - now).total_seconds()),
            "estimated": self.estimated,
            "lacking": list(self.lacking),
        }


def unread(place: Location, error: StoreError, before: Theirs | None) -> Theirs:
    """Return what is known where it could not be read."""
    lowest = None if before is None else before.lowest_left
    return Theirs(place=place, standing="unread", error=error.code, lowest_left=lowest)


def seen(  # noqa: PLR0913  # what two secrets are compared by
    place: Location,
    secret: Found | Absent,
    held: Held | None,
    *,
    ours: Held | None,
    members: frozenset[str],
    same: bool,
    promised: timedelta | None,
    before: Theirs | None,
    now: datetime,
) -> Theirs:
    """Compare what stands at `place` (`held`: as facts) with `ours`, whose members are `members`."""
    lowest = None if before is None else before.lowest_left
    if isinstance(secret, Absent) or held is None:
        return Theirs(place=place, version=secret.version, standing="missing", lowest_left=lowest)
    ends, estimated = held.expires_at, False
    if ends is None and secret.version is not None and ours is not None and ours.lifetime is not None:
        ends, estimated = (now - secret.age + ours.lifetime).replace(microsecond=0), True
    left = None if ends is None else ends - now
    lows = [one for one in (lowest, left) if one is not None]
    return Theirs(
        place=place,
        version=secret.version,
        standing=_standing(left, promised),
        expires_at=ends,
        estimated=estimated,
        lowest_left=min(lows, default=None),
        same=same,
        lacking=tuple(sorted(secret.data.keys() - members - set(OWN))) if members else (),
    )


def _standing(left: timedelta | None, promised: timedelta | None) -> Standing:
    if left is None:
        return "unknown"
    if left <= timedelta():
        return "dead"
    return "short" if promised is not None and left < promised - GRACE else "well"


def compared(job: str, theirs: Theirs, ours: datetime | None, now: datetime, *, before: Theirs | None) -> Event:
    """Return the event of a comparison: loud when theirs turns bad, quiet when all is as it was.

    `ours`: when our token expires.
    """
    known = before is not None and _news(before) == _news(theirs)
    level: Level = "debug" if known else "warning" if theirs.standing in _BAD else "info"
    fields: dict[str, Field] = {"path": str(theirs.place), "standing": theirs.standing, "same": theirs.same}
    more: Mapping[str, Field] = {
        "error": theirs.error or None,
        "version": theirs.version,
        "expires_at": None if theirs.expires_at is None else stamp(theirs.expires_at),
        "left_s": None if theirs.expires_at is None else round((theirs.expires_at - now).total_seconds()),
        "lowest_left_s": None if theirs.lowest_left is None else round(theirs.lowest_left.total_seconds()),
        "ours_left_s": None if ours is None else round((ours - now).total_seconds()),
        "estimated": theirs.estimated or None,
        "lacking": theirs.lacking or None,
    }
    fields |= {name: value for name, value in more.items() if value is not None}
    return Event(name="shadow_compared", level=level, job=job, fields=fields)


def _news(theirs: Theirs) -> tuple[object, ...]:
    return theirs.standing, theirs.error, theirs.version, theirs.lacking
