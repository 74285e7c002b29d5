"""What a reader finds at a path, judged by what it may count on: ok, warning, critical or unknown. Pure.

Rules of this module:
- Less life than promised is a warning: a rotation is late. Less than half of it, or than readers need to read again,
  is critical: they are about to hold a dead token. So is a token that is dead, and a path where none stands.
- What could not be read is unknown: it says nothing of the token.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core import due
from refresher.core.job import Margin
from refresher.core.model import Absent, Found
from refresher.core.published import stamp, times_in
from refresher.core.spans import span

State: TypeAlias = Literal["ok", "warning", "critical", "unknown"]
EXITS: Final[dict[State, int]] = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
WORST_FIRST: Final[tuple[State, ...]] = ("critical", "warning", "unknown", "ok")
GRACE: Final = timedelta(seconds=10)  # a rotation that is a little late is no news
NAMED: Final = 5  # paths in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Below `warning` and `critical` of life left the state is that."""

    warning: timedelta
    critical: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`name` is a job or a path, `path` where it stands. `left`: the life left, None where that has no end."""

    name: str
    path: str
    state: State
    why: str
    left: timedelta | None = None
    expires_at: datetime | None = None
    bounds: Bounds | None = None

    def as_json(self) -> dict[str, object]:
        """Return the object that `watch --json` prints (docs/reference/json.md)."""
        return {
            "name": self.name,
            "path": self.path,
            "state": self.state,
            "why": self.why,
            "expires_at": None if self.expires_at is None else stamp(self.expires_at),
            "life_left_s": None if self.left is None else round(self.left.total_seconds()),
            "warning_s": None if self.bounds is None else round(self.bounds.warning.total_seconds()),
            "critical_s": None if self.bounds is None else round(self.bounds.critical.total_seconds()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token is held to: `margin` and `lag` are the job's, `warning` and `critical` what counts instead."""

    margin: Margin | None = None
    lag: timedelta | None = None
    warning: timedelta | None = None
    critical: timedelta | None = None

    def bounds(self, lifetime: timedelta | None) -> Bounds:
        """Return them for a token of that `lifetime`: its promise, and half of it or the readers' lag."""
        promised = due.USUAL if lifetime is None else due.promised(lifetime, self.margin)
        warning = promised - min(GRACE, promised / 10) if self.warning is None else self.warning
        critical = max(promised / 2, self.lag or timedelta()) if self.critical is None else self.critical
        if self.warning is None:
            warning = max(warning, self.critical or timedelta())
        return Bounds(warning=warning, critical=min(critical, warning))


def judged(name: str, path: str, found: Found | Absent, expected: Expected, now: datetime) -> Reading:
    """Return what a reader is to make of `found`."""
    if isinstance(found, Absent):
        return Reading(name=name, path=path, state="critical", why="nothing stands there")
    if not found.data.get("access_token"):
        return Reading(name=name, path=path, state="critical", why="no access_token stands there")
    issued_at, expires_at = times_in(found)
    if expires_at is None:
        return Reading(name=name, path=path, state="ok", why="it states no end")
    lifetime = expires_at - issued_at if issued_at is not None and issued_at < expires_at else None
    bounds, left = expected.bounds(lifetime), expires_at - now
    state, why = _state(left, bounds)
    return Reading(name=name, path=path, state=state, why=why, left=left, expires_at=expires_at, bounds=bounds)


def _state(left: timedelta, bounds: Bounds) -> tuple[State, str]:
    if left <= timedelta():
        return "critical", f"it is dead since {span(-left)}"
    if left < bounds.critical:
        return "critical", f"it lives {span(left)}, less than {span(bounds.critical)}"
    if left < bounds.warning:
        return "warning", f"it lives {span(left)}, less than {span(bounds.warning)}"
    return "ok", f"it lives {span(left)}"


def verdict(readings: Iterable[Reading]) -> State:
    """Return the worst state of all."""
    return min((one.state for one in readings), key=WORST_FIRST.index, default="unknown")


def line(readings: Iterable[Reading]) -> str:
    """Return one line as monitoring plugins print it: the state, what is the matter, and the figures after a bar.

    The form is that of the Monitoring Plugins Development Guidelines, section 2.6.
    """
    found = tuple(sorted(readings, key=lambda one: (WORST_FIRST.index(one.state), one.left or timedelta.max)))
    state, bad = verdict(found), [one for one in found if one.state != "ok"]
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        what = f"{len(bad)} of {len(found)}: {'; '.join(f'{one.name}: {one.why}' for one in bad[:NAMED])}{more}"
    elif len(found) == 1:
        what = f"{found[0].name}: {found[0].why}"
    else:
        least = f", {found[0].name} has least: {found[0].why}" if found else ""
        what = f"{len(found)} tokens{least}"
    figures = " ".join(map(_figure, sorted((one for one in found), key=lambda one: one.name)))
    return f"REFRESHER {state.upper()} - {what}" + (f" | {figures}" if figures else "")


def _figure(reading: Reading) -> str:
    """Return one figure as `'label'=value[unit];warning;critical;min`; `U` is one that could not be had."""
    if reading.left is None or reading.bounds is None:
        return f"'{reading.name}'=U"
    least = (round(one.total_seconds()) for one in (reading.bounds.warning, reading.bounds.critical))
    return f"'{reading.name}'={round(reading.left.total_seconds())}s;" + ";".join(f"{one}:" for one in least) + ";0"
