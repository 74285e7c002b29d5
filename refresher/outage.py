"""A Vault that is away: told once for all jobs, waited for by one probe, and over for all jobs at once."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from refresher.core.backoff import LONGEST_STORE, backoff
from refresher.core.errors import StoreError, StoreUnavailableError
from refresher.core.events import Event, Field, Level
from refresher.core.model import Job
from refresher.core.published import stamp
from refresher.ports import Clock, SecretStore, Sink

ALERT: Final = timedelta(seconds=60)  # a fail-over takes some 15 s and needs nobody


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
        self._waiting: dict[str, set[str]] = {}
        self._probes: set[asyncio.Task[None]] = set()

    def holds(self, job: Job) -> bool:
        """Whether `job` must wait for its cluster; it is woken when that is back."""
        waiting = self._waiting.get(job.destinations[0].cluster)
        if waiting is None:
            return False
        waiting.add(job.name)
        return True

    def is_away(self, job: Job) -> bool:
        """Whether the cluster of `job` can't be reached now."""
        return job.destinations[0].cluster in self._waiting

    def begin(self, job: Job, error: str, group: asyncio.TaskGroup) -> None:
        """Note that the cluster of `job` is away, and have a probe wait for it in `group`."""
        cluster = job.destinations[0].cluster
        if cluster in self._waiting:
            self._waiting[cluster].add(job.name)
            return
        self._waiting[cluster] = {job.name}
        probe = group.create_task(self._probe(cluster, job, error))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)

    def close(self) -> None:
        """End the probes."""
        for probe in self._probes:
            probe.cancel()

    async def _probe(self, cluster: str, job: Job, error: str) -> None:
        since, tries, alerted = self._clock.now(), 0, False
        self._tell("store_failed", "warning", cluster, since, error=error)
        while True:
            tries += 1
            await self._clock.sleep(backoff(tries, LONGEST_STORE, 0.5))
            try:
                await self._stores[cluster].prove(job.destinations[0])
            except StoreUnavailableError as still:
                error = still.code
            except StoreError:
                break  # it answers: what it refuses is the affair of the job concerned
            else:
                break
            if not alerted and self._clock.now() - since >= ALERT:
                alerted = True
                self._tell("store_failed", "error", cluster, since, error=error)
        names = self._waiting.pop(cluster)
        self._tell("recovered", "info", cluster, since, jobs=len(names))
        self._wake(names)

    def _tell(self, name: str, level: Level, cluster: str, since: datetime, **more: Field) -> None:
        fields: dict[str, Field] = {"cluster": cluster or "default", "since": stamp(since)}
        if name == "recovered":
            fields["outage_s"] = round((self._clock.now() - since).total_seconds())
        event = Event(name="recovered" if name == "recovered" else "store_failed", level=level, fields=fields | more)
        self._sink.tell(event)
