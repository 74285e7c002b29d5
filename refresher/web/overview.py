"""What there is to look at, taken from memory in helpings, so that many jobs hold nobody up."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from refresher.charge import Charge
from refresher.core import policy
from refresher.core.job import Job
from refresher.core.perishable import Perishable
from refresher.core.timeline import Attempt, Span, Timeline, timeline
from refresher.core.view import FleetView, JobView
from refresher.heartbeat import Heartbeat
from refresher.ports import Clock
from refresher.roster import Roster
from refresher.sinks.families import ClusterView
from refresher.standing import state_of
from refresher.state import ledger, tables

HELPING: Final = 50  # jobs, some 4 ms
DAY: Final = timedelta(hours=24)
Tried: TypeAlias = Mapping[str, list[Attempt]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The nodes of a fleet, and what all of them did: `tried` of late, by job; `history`, of one job.

    None: only this machine's ledger can tell.
    """

    view: FleetView
    tried: Tried | None = None
    history: list[tables.Attempt] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Looks at a roster. `file` is the ledger's."""

    roster: Roster
    heart: Heartbeat
    clock: Clock
    holder: str
    file: Path

    async def jobs(self, names: Iterable[str] | None = None) -> list[JobView]:
        """Return how each job stands, or each of `names` that there is."""
        found: list[JobView] = []
        for count, name in enumerate(tuple(self.roster.charges if names is None else names), start=1):
            if (charge := self.roster.charges.get(name)) is not None:
                found.append(view_of(charge, self.clock.now(), self.holder))
            if count % HELPING == 0:
                await asyncio.sleep(0)
        return found

    def job(self, name: str) -> Job | None:
        """Return the job of that name as it is configured."""
        charge = self.roster.charges.get(name)
        return None if charge is None else charge.job

    def clusters(self, left: Mapping[str, timedelta | None], logins: Mapping[str, Perishable]) -> list[ClusterView]:
        """Return how each cluster that a job writes to stands; `left` is the life that our token has there.

        `logins`: what we log in with.
        """
        return clusters_of(self.roster, self.clock.now(), left, logins)

    def unready(self, views: Iterable[JobView], clusters: Iterable[ClusterView]) -> list[str]:
        """Return why readers are not served, or may not be for long; nothing: they are."""
        now, why = self.clock.now(), [f"vault {one.name}: away" for one in clusters if not one.reachable]
        for view in views:
            if view.alive is None:
                why.append(f"job {view.name}: nobody has looked yet")
            elif view.need(now) == "dead":
                why.append(f"job {view.name}: readers find nothing alive")
        return why


def clusters_of(
    roster: Roster, now: datetime, left: Mapping[str, timedelta | None], logins: Mapping[str, Perishable]
) -> list[ClusterView]:
    """Return how each cluster that a job writes to stands; `left` is the life that our token has there.

    `logins`: what we log in with, where that is known.
    """
    reachable: dict[str, bool] = {}
    for charge in roster.charges.values():
        there, behind = not roster.is_away(charge), charge.behind
        lost = {place.cluster for place, one in behind.items() if one.kind == "outage"}
        for place in charge.job.destinations:
            is_there = there and place.cluster not in lost
            reachable[place.cluster] = reachable.get(place.cluster, False) or is_there
    return [
        ClusterView(
            name=name or "default",
            reachable=there,
            token_expires_at=None if (life := left.get(name)) is None else now + life,
            login=logins.get(name),
        )
        for name, there in sorted(reachable.items())
    ]


def view_of(charge: Charge, now: datetime, holder: str) -> JobView:
    """Return how a job stands."""
    held = None if charge.held is None else [one for _, one in charge.standing]
    standing = [one for one in held or () if one is not None]
    promises = [promise for one in standing if (promise := policy.promised(one, charge.job)) is not None]
    dead = any(one.expires_at is not None and one.expires_at <= now for one in standing)
    failed, planned = charge.ailing, None if charge.last is None else charge.last.renew_at
    state = state_of(charge, now, holder)
    due = (failed.since if failed is not None else planned) if state in ("due", "retrying") else None
    return JobView(
        name=charge.job.name,
        provider=charge.job.provider,
        state=state,
        alive=None if held is None else None not in held and not dead,
        issued_at=max((one.issued_at for one in standing if one.issued_at is not None), default=None),
        expires_at=charge.expires_at,
        renew_at=policy.renew_at(charge.facts(now, holder)) if held is not None else None,
        promised=min(promises, default=None),
        failures=0 if failed is None else failed.count,
        kind=None if failed is None else failed.kind,
        error="" if failed is None else failed.error,
        status=0 if failed is None else failed.status,
        since=None if failed is None else failed.since,
        due_since=None if due is None else min(due, now),
        last=charge.attempted,
        node=charge.node,
        places=tuple((str(place), version) for place, version in charge.places),
        beside=charge.theirs,
        behind={str(place): one.error for place, one in charge.behind.items()},
        secrets=charge.perishables,
    )


def timelines(file: Path, views: Collection[JobView], now: datetime, tried: Tried | None = None) -> dict[str, Timeline]:
    """Return the last 24 hours of each job, by what all nodes `tried`, or by the ledger of this machine.

    It reads the disk: call it in a thread. A ledger that can't be read tells nothing.
    """
    attempts: Tried = {} if tried is None else tried
    if tried is None:
        with suppress(*ledger.FAILURES):
            attempts = ledger.tried(file, [view.name for view in views], since=now - DAY)
    return {
        view.name: timeline(attempts.get(view.name, ()), held=_held(view), since=now - DAY, now=now) for view in views
    }


def _held(view: JobView) -> Span | None:
    return None if view.issued_at is None else Span(begin=view.issued_at, end=view.expires_at)
