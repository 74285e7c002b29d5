"""A Vault that is away: told once for all jobs, waited for by one probe, and over for all jobs at once.

Rules of this module:
- An outage is of one cluster, or, where nobody knows which of them it was, of all those that a job can't do without.
- A job waits while it can do nothing: its destinations are all away, or what it needs before it can ask for a token.
- Vault is back when it has served a job, which goes first: a proof is also answered by a standby that lost its leader.
- A Vault that answers and fails again within a minute is one outage: told once, and asked less and less often.
- A quota that tells when it ends is waited for: whatever is asked before that is refused, and may count as well.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from refresher.core.backoff import LONGEST_STORE, backoff
from refresher.core.errors import StoreUnavailableError
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.job import Job
from refresher.core.model import Location, Reference
from refresher.core.outcome import Outcome
from refresher.core.published import stamp
from refresher.ports import Clock, SecretStore, Sink

ALERT: Final = timedelta(seconds=60)  # a fail-over takes some 15 s and needs nobody
Clusters: TypeAlias = frozenset[str]


@dataclass(slots=True, kw_only=True)
class _Outage:
    """`error` is the last code; `over` the monotonic time of its end, None while it lasts.

    `first` is the job that goes first, `served` whether Vault served it. Before `until` (monotonic) Vault is not asked.
    """

    error: str
    since: datetime
    began: float
    jobs: set[str]
    met_by: str
    first: str = ""
    served: asyncio.Future[bool] | None = None
    tries: int = 0
    alerted: bool = False
    over: float | None = None
    until: float = 0.0


class Outages:
    """Which clusters are away, and which jobs wait for them."""

    def __init__(
        self,
        *,
        stores: Mapping[str, SecretStore],
        clock: Clock,
        sink: Sink,
        wake: Callable[[Collection[str]], bool],
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._sink = sink
        self._wake = wake
        self._outages: dict[Clusters, _Outage] = {}
        self._probes: set[asyncio.Task[None]] = set()

    def holds(self, job: Job) -> bool:
        """Whether `job` must wait for a cluster of its own; it is woken when that is back."""
        outages = self._holding(job)
        for outage in outages:
            outage.jobs.add(job.name)
        return bool(outages) and all(outage.first != job.name for outage in outages)

    def shut_to(self, job: Job) -> Collection[str]:
        """Return the clusters that are known to be away, but for those that `job` is the first to try."""
        if not (lasting := self._lasting()):
            return ()
        shut = (away for away, outage in lasting.items() if len(away) == 1 and outage.first != job.name)
        return frozenset().union(*shut)

    def waits(self, name: str) -> bool:
        """Whether the job of that name will be woken when a cluster is back."""
        return any(outage.over is None and name in outage.jobs for outage in self._outages.values())

    def error(self, job: Job) -> str | None:
        """Return the code of the outage that concerns `job`; None: its clusters can be reached."""
        return next((outage.error for outage in self._holding(job)), None)

    def begin(self, job: Job, ended: Outcome, group: asyncio.TaskGroup) -> None:
        """Note what was away when a walk of `job` `ended`: some clusters, or one of its own; a probe waits."""
        if not ended.away and (holding := self._holding(job)):
            holding[0].jobs.add(job.name)
            self._wait(holding[0], ended.error, ended.retry_after)
            return
        unknown = _needs(job) or frozenset(_places(job))
        code = ended.error or next(iter(ended.behind.values()), "")
        for one in [frozenset((cluster,)) for cluster in sorted(ended.away)] or [unknown]:
            if (lasting := self._lasting().get(one)) is not None:
                lasting.jobs.add(job.name)
            else:
                lasting = self._begin(job, code, group, one)
            self._wait(lasting, ended.error, ended.retry_after)

    def _begin(self, job: Job, error: str, group: asyncio.TaskGroup, away: Clusters) -> _Outage:
        places, now = (
            {cluster: place for cluster, place in _places(job).items() if cluster in away},
            self._clock.monotonic(),
        )
        outage = self._outages.get(away)
        if again := outage is not None and outage.over is not None and now - outage.over < ALERT.total_seconds():
            outage.over, outage.jobs, outage.met_by = None, {job.name}, job.name
        else:
            outage = _Outage(error=error, since=self._clock.now(), began=now, jobs={job.name}, met_by=job.name)
            self._outages[away] = outage
        probe = group.create_task(self._probe(away, outage, places, again=again))
        self._probes.add(probe)
        probe.add_done_callback(self._probes.discard)
        return outage

    def walked(self, name: str, *, down: bool, away: Clusters = frozenset()) -> None:
        """Note whether Vault was down for the job of that name, whose walk or look has ended, or came to nothing."""
        for clusters, outage in self._outages.items():
            if outage.first == name and outage.served is not None:
                outage.first = ""
                if not outage.served.done():  # its probe was ended: so is the daemon
                    outage.served.set_result(clusters.isdisjoint(away) if away else not down)

    def close(self) -> None:
        """End the probes."""
        for probe in self._probes:
            probe.cancel()

    def _wait(self, outage: _Outage, error: str | None, retry_after: float | None) -> None:
        """Wait for a quota's end. Others guess: what a proxy says of a Vault that is down is no more than a backoff."""
        if error == "quota" and retry_after is not None:
            outage.until = self._clock.monotonic() + retry_after

    def _lasting(self) -> Mapping[Clusters, _Outage]:
        return {away: outage for away, outage in self._outages.items() if outage.over is None}

    def _holding(self, job: Job) -> Sequence[_Outage]:
        """Return the outages for which `job` can do nothing."""
        lasting = self._lasting()
        if not lasting:
            return ()
        own, needs, goals = _places(job).keys(), _needs(job), {place.cluster for place in job.destinations}
        known = frozenset().union(*(away for away in lasting if len(away) == 1))
        stops = (away for away in lasting if away <= own and (away & needs or goals <= known | away))
        return [lasting[away] for away in stops]

    async def _probe(self, away: Clusters, outage: _Outage, places: Mapping[str, Location], *, again: bool) -> None:
        self._tell("store_failed", "debug" if again else "warning", away, outage, error=outage.error)
        while True:
            outage.tries += 1
            asked = timedelta(seconds=outage.until - self._clock.monotonic())
            await self._clock.sleep(max(backoff(outage.tries, LONGEST_STORE, 0.5), asked))
            try:
                for place in places.values():
                    await self._answers(place)
            except StoreUnavailableError as still:
                outage.error = still.code
                self._wait(outage, still.code, still.retry_after)
            else:
                if await self._serves(outage):
                    break
            if not outage.alerted and self._clock.monotonic() - outage.began >= ALERT.total_seconds():
                outage.alerted = True
                self._tell("store_failed", "error", away, outage, error=outage.error)
        outage.over = self._clock.monotonic()
        lasted = round(outage.over - outage.began)
        self._tell("recovered", "debug" if again else "info", away, outage, jobs=len(outage.jobs), outage_s=lasted)
        self._wake(outage.jobs)

    async def _serves(self, outage: _Outage) -> bool:
        """Have the job that met the outage go first; return whether Vault served it, or it had nothing to ask."""
        outage.first, outage.served = outage.met_by, asyncio.get_running_loop().create_future()
        if self._wake((outage.met_by,)):
            return await outage.served
        outage.first = ""
        return True

    async def _answers(self, place: Location) -> None:
        """Return once the cluster has answered; a refusal, or a bug, is the affair of the job that meets it."""
        try:
            await self._stores[place.cluster].prove(place)
        except StoreUnavailableError:
            raise
        except BaseException as error:  # it must not end the daemon; the job's own walk tells of it
            if ends_all(error):
                raise

    def _tell(self, name: EventName, level: Level, away: Clusters, outage: _Outage, **more: Field) -> None:
        clusters = ", ".join(cluster or "default" for cluster in sorted(away))
        fields: dict[str, Field] = {"cluster": clusters, "since": stamp(outage.since)}
        self._sink.tell(Event(name=name, level=level, fields=fields | more))


def _places(job: Job) -> Mapping[str, Location]:
    """Return one place of `job` in each cluster that it needs, its own paths before those of its secrets."""
    secrets = [ref for ref in job.references().values() if ref.kind == "vault"]
    places = {ref.cluster: _place(ref) for ref in secrets} | {job.states.cluster: job.state}
    return places | {place.cluster: place for place in job.destinations}


def _needs(job: Job) -> Clusters:
    """Return the clusters without which `job` can do nothing: its secrets', its grant's, and its only destination's."""
    secrets = {ref.cluster for ref in job.references().values() if ref.kind == "vault"}
    goals = {place.cluster for place in job.destinations}
    return frozenset(
        secrets | ({job.states.cluster} if job.irreplaceable else set()) | (goals if len(goals) == 1 else set())
    )


def _place(reference: Reference) -> Location:
    """Return about where a secret stands: for a knock at its cluster's door, the first segment will do as mount."""
    mount, _, path = reference.target.partition("/")
    return Location(cluster=reference.cluster, mount=mount, path=path)


def ends_all(error: BaseException) -> bool:
    """Whether the loop ends us. Of BaseException all else is a bug: SystemExit, a panic, a cancellation of nobody's."""
    task = asyncio.current_task()
    cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    return cancelled or isinstance(error, GeneratorExit)
