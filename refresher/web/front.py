"""What the server asks: pages, metrics, health, and what changed since.

Rules of this module:
- What is long (a page, the metrics) is made in a thread, of frozen values, a few at a time.
- While nobody watches, nothing is looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from refresher.core.events import Event
from refresher.core.view import FleetView, JobView, oldest_due
from refresher.host import log
from refresher.ports import Clock
from refresher.sinks.families import ClusterView, Reading
from refresher.sinks.metrics import CONTENT_TYPE, Metrics
from refresher.state import journal
from refresher.watch import Watch
from refresher.web.live import Changes
from refresher.web.overview import DAY, Others, Overview
from refresher.web.sources import Sources

if TYPE_CHECKING:
    from refresher.web.pages import Pages

HELPING: Final = 50  # rows in one piece
AT_ONCE: Final = 2  # pages in the making
TICK: Final = timedelta(seconds=1)
WEEK: Final = timedelta(days=7)
WHOLE: Final = 10  # ticks: how often all jobs are looked at, since some change by time alone


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a page is sent, and the revision that it shows then."""

    revision: int
    members: dict[str, object]


class Front:
    """Answers. It is also ports.Sink: what is told of a job has its row looked at."""

    def __init__(self, *, overview: Overview, watch: Watch, metrics: Metrics, sources: Sources, clock: Clock) -> None:
        self.changes = Changes()
        self._overview = overview
        self._watch = watch
        self._metrics = metrics
        self._sources = sources
        self._clock = clock
        self._pages: Pages | None = None
        self._making = asyncio.Semaphore(AT_ONCE)
        self._scraping = asyncio.Lock()
        self._news = asyncio.Event()
        self._watchers = 0
        self._noted: set[str] = set()
        self._reasons: dict[str, str] = {}

    def tell(self, event: Event) -> None:
        """Note whose row is to be looked at, and why it failed."""
        if event.job:
            self._noted.add(event.job)
            if isinstance(why := event.fields.get("why"), str):
                self._reasons[event.job] = why
            elif event.name in ("rotated", "recovered"):
                self._reasons.pop(event.job, None)

    async def tick(self) -> None:
        """Look what changed while somebody watches, for ever."""
        count = 0
        while True:
            await self._clock.sleep(TICK)
            if not self._watchers:
                continue
            count += 1
            if count % WHOLE == 0:
                await self._look()
            elif self._noted:
                noted, self._noted = self._noted, set()
                self.changes.look(await self._overview.jobs(noted), whole=False)
                self.wake()

    async def _look(self) -> list[JobView]:
        views = await self._overview.jobs()
        self._noted.clear()
        self._reasons = {view.name: self._reasons[view.name] for view in views if view.name in self._reasons}
        self.changes.look(views, whole=True)
        self.wake()
        return views

    def wake(self) -> None:
        """Have those who wait for news look."""
        self._news.set()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look for changes while the block lasts."""
        self._watchers += 1
        try:
            yield
        finally:
            self._watchers -= 1

    async def changed(self, seconds: float) -> bool:
        """Wait until something was looked at; False: nothing was for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
                return True
        return False

    async def news(self, since: int, *, job: str | None) -> News | None:
        """Return what to send to a page that shows revision `since`, of one job or of all; None: nothing is new."""
        now_at, changed = self.changes.revision, self.changes.since(since)
        if job is not None:
            return News(revision=now_at, members={}) if job in changed or self.changes.renamed(since) else None
        if not changed and not self.changes.renamed(since):
            return None
        views, now, reasons = await self._overview.jobs(), self._clock.now(), dict(self._reasons)
        logins, others = dict(self._sources.logins), await self._others(changed, now)
        async with self._making:
            members = await asyncio.to_thread(
                lambda: self._made().updates(views, changed, now, reasons, logins=logins, others=others)
            )
        return News(revision=now_at, members=members)

    async def index(self, query: str) -> AsyncIterator[str]:
        """Yield the page of all jobs, piece by piece: the first is there soon, however many jobs there are."""
        views, now, revision = await self._look(), self._clock.now(), self._revision()
        reasons, logins, fleet = dict(self._reasons), dict(self._sources.logins), self._fleet()
        async with self._making:
            before, shown, after = await asyncio.to_thread(
                lambda: self._made().index(views, now=now, query=query, revision=revision, logins=logins, fleet=fleet)
            )
        for some in batched(shown, HELPING):
            others = await self._others([one.name for one in some], now)
            async with self._making:
                rows = await asyncio.to_thread(self._made().rows, some, now, reasons, others)
            yield before + rows
            before = ""
        yield before + after

    async def job(self, name: str) -> str | None:
        """Return a job's own page; None: there is no such job."""
        job, views = self._overview.job(name), await self._overview.jobs((name,))
        cluster = None if job is None else self._sources.clusters().get(job.destinations[0].cluster)
        if job is None or cluster is None or not views:
            return None
        self.changes.look(views, whole=False)
        now, revision, why = self._clock.now(), self._revision(), self._reasons.get(name, "")
        others = await self._others((name,), now, history=True)
        async with self._making:
            return await asyncio.to_thread(
                lambda: self._made().job(views[0], job, cluster, now=now, revision=revision, why=why, others=others)
            )

    async def error(self, status: int, title: str, text: str) -> str:
        """Return a page that says what went wrong."""
        return await asyncio.to_thread(lambda: self._made().error(status, title, text))

    def standstill(self) -> str:
        """Return why the daemon makes no progress; `""`: it does."""
        return self._overview.heart.standstill()

    async def unready(self) -> list[str]:
        """Return what keeps readers from being served."""
        return self._overview.unready(await self._overview.jobs(), self._clusters())

    async def metrics(self) -> tuple[bytes, str]:
        """Return what Prometheus reads, and its content type."""
        async with self._scraping:
            views, now = await self._overview.jobs(), self._clock.now()
            clusters, swept_s = self._clusters(), self._clock.monotonic() - self._watch.swept_at
            dropped, fleet = self._sources.dropped(), self._fleet()

            def made() -> bytes:
                entries, size = journal.usage(self._sources.directory, self._sources.instance)
                reading = Reading(
                    now=now,
                    jobs=views,
                    clusters=clusters,
                    oldest_due_s=oldest_due(views, now),
                    swept_s=swept_s,
                    journal_entries=entries,
                    journal_bytes=size,
                    dropped={**dropped, "log_lines": log.dropped()},
                    fleet=fleet,
                )
                return self._metrics.render(reading)

            return await asyncio.to_thread(made), CONTENT_TYPE

    def _clusters(self) -> list[ClusterView]:
        return self._overview.clusters(self._sources.lives(), self._sources.logins)

    def _fleet(self) -> FleetView | None:
        return None if self._sources.fleet is None else self._sources.fleet.view()

    async def _others(self, names: Collection[str], now: datetime, *, history: bool = False) -> Others | None:
        """Return what all nodes did with these jobs; `history`: with the first of them for as long as a page shows."""
        if (fleet := self._sources.fleet) is None:
            return None
        tried = await fleet.tried(names, now - DAY)
        known = await fleet.history(next(iter(names)), now - WEEK) if history else None
        return Others(view=fleet.view(), tried=tried, history=known)

    def _revision(self) -> str:
        return f"{self.changes.boot}-{self.changes.revision}"

    def _made(self) -> "Pages":
        if self._pages is None:
            from refresher.web.pages import Pages  # noqa: PLC0415  # the templates are wanted once somebody looks

            self._pages = Pages(file=self._sources.file, instance=self._sources.instance)
        return self._pages


def batched(views: list[JobView], size: int) -> Iterator[list[JobView]]:
    """Yield `views`, so many at a time."""
    return (views[start : start + size] for start in range(0, len(views), size))
