"""A Vault that is away: told once for all jobs, waited for by one probe, and over for all jobs at once.

Rules of this module:
- An outage is of a set of clusters, all those of the job that met it: which of them it was, nobody knows.
- A job waits while all clusters of an outage are among its own.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from refresher.core.backoff import LONGEST_STORE, backoff
from refresher.core.errors import StoreError, StoreUnavailableError
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.job import Job
from refresher.core.model import Location, Reference
from refresher.core.published import stamp
from refresher.ports import Clock, SecretStore, Sink

ALERT: Final = timedelta(seconds=60)  # a fail-over takes some 15 s and needs nobody
Clusters: TypeAlias = frozenset[str]


class Outages:
    """Which clusters are away, and which jobs wait for them."""

    def __init__(
        self,
        *,
        stores: Mapping[str, SecretStore],
        clock: Clock,
        sink: Sink,
        wake: Callable[[Collection[str]], None],
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._sink = sink
        self._wake = wake
        self._waiting: dict[Clusters, set[str]] = {}
        self._errors: dict[Clusters, str] = {}
        self._probes: set[asyncio.Task[None]] = set()

    def holds(self, job: Job) -> bool:
        """Whether `job` must wait for a cluster of its own; it is woken when that is back."""
        away = self._away(job)
        if away is None:
            return False
        self._waiting[away].add(job.name)
        return True

    def error(self, job: Job) -> str | None:
        """Return the code of the outage that concerns `job`; None: its clusters can be reached."""
        away = self._away(job)
        return None if away is None else self._errors[away]

    def begin(self, job: Job, error: str, group: asyncio.TaskGroup) -> None:
        """Note that a cluster of `job` is away, and have a probe wait for it in `group`."""
        if self.holds(job):
            return
        places = _places(job)
        away = frozenset(places)
        self._waiting[away], self._errors[away] = {job.name}, error
        probe = group.create_task(self._probe(away, places))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    def close(self) -> None:
        """End the probes."""
        for probe in self._probes:
            probe.cancel()

    def _away(self, job: Job) -> Clusters | None:
        if not self._waiting:
            return None
        own = _places(job).keys()
        return next((away for away in self._waiting if away <= own), None)

    async def _probe(self, away: Clusters, places: Mapping[str, Location]) -> None:
        since, tries, alerted = self._clock.now(), 0, False
        began = self._clock.monotonic()
        self._tell("store_failed", "warning", away, since, error=self._errors[away])
        while True:
            tries += 1
            await self._clock.sleep(backoff(tries, LONGEST_STORE, 0.5))
            try:
                for place in places.values():
                    await self._answers(place)
            except StoreUnavailableError as still:
                self._errors[away] = still.code
            else:
                break
            if not alerted and self._clock.monotonic() - began >= ALERT.total_seconds():
                alerted = True
                self._tell("store_failed", "error", away, since, error=self._errors[away])
        names = self._waiting.pop(away)
        outage = round(self._clock.monotonic() - began)
        self._tell("recovered", "info", away, since, jobs=len(names), outage_s=outage)
        self._wake(names)

    async def _answers(self, place: Location) -> None:
        """Return once the cluster has answered; what it refuses is the affair of the job concerned."""
        try:
            await self._stores[place.cluster].prove(place)
        except StoreUnavailableError:
            raise
        except StoreError:
            return

    def _tell(self, name: EventName, level: Level, away: Clusters, since: datetime, **more: Field) -> None:
        clusters = ", ".join(cluster or "default" for cluster in sorted(away))
        fields: dict[str, Field] = {"cluster": clusters, "since": stamp(since)}
        self._sink.tell(Event(name=name, level=level, fields=fields | more))


def _places(job: Job) -> Mapping[str, Location]:
    """Return one place of `job` in each cluster that it needs, its own paths before those of its secrets."""
    secrets = [ref for ref in job.references().values() if ref.kind == "vault"]
    places = {ref.cluster: _place(ref) for ref in secrets} | {job.state.cluster: job.state}
    return places | {place.cluster: place for place in job.destinations}


def _place(reference: Reference) -> Location:
    """Return about where a secret stands: for a knock at its cluster's door, the first segment will do as mount."""
    mount, _, path = reference.target.partition("/")
    return Location(cluster=reference.cluster, mount=mount, path=path)
