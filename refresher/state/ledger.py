"""The ledger: every attempt with its outcome, and what a restart must not forget. SQLite in the state directory.

Rules of this module:
- It tells; it never steers and is never in the way: a thread of its own writes, and what fails there is dropped and
  counted.
- No secret is ever in it.
- What can't be read is set aside and begun anew: the facts stand in Vault, only history and backoff are lost.
"""

import queue
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from refresher.core import remembered, timeline
from refresher.core.outcome import Outcome
from refresher.core.remembered import Remembered
from refresher.state import tables
from refresher.state.tables import Attempt, Item, Tried, path_of

PRUNE_EVERY: Final = 1000  # attempts
BACKLOG: Final = 10_000  # attempts that wait for the disk; what comes on top is dropped and counted
CLOSE_S: Final = 5.0
GATHER_S: Final = 0.25  # what comes meanwhile is written with the first: a commit of each costs half a rotation
QUIET: Final = frozenset({"fresh", "halted"})
COLUMNS: Final = ", ".join(field.name for field in fields(Attempt))
FAILURES: Final = (sqlite3.Error, OSError, ValueError)


class Ledger:
    """ports.Ledger over one file of an instance. `warning`: a line for people where the old one was set aside."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.warning = ""
        self.dropped = 0
        self._path = path_of(directory, instance)
        self._items: queue.Queue[Item | None] = queue.Queue(BACKLOG)
        self._closing = threading.Event()
        self._known = self._open()
        self._writer = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._writer.start()

    def recall(self, job: str) -> Remembered | None:
        """Return what an earlier process kept of `job`, once."""
        text = self._known.pop(job, None)
        return None if text is None else remembered.read(text)

    def fetched(self, job: str) -> None:
        """Fetch nothing: there is no fleet."""

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep what a walk came to; returns at once. One that attempted nothing makes no history."""
        attempt = None if ended.outcome in QUIET else attempt_of(ended, at)
        self._put((ended.job, attempt, remembered.written(kept)))

    def keep(self, job: str, kept: Remembered) -> None:
        """Keep what is known of `job`; returns at once."""
        self._known[job] = text = remembered.written(kept)
        self._put((job, None, text))

    def rename(self, before: str, job: str) -> None:
        """Have `job` go on with what was kept of it under the name `before`; returns at once."""
        self._put((job, before, ""))

    def close(self) -> None:
        """Write what is left, for a few seconds at most."""
        self._closing.set()
        with suppress(queue.Full):
            self._items.put(None, timeout=CLOSE_S)
        self._writer.join(CLOSE_S)

    def _put(self, item: Item) -> None:
        try:
            self._items.put_nowait(item)
        except queue.Full:
            self.dropped += 1

    def _open(self) -> dict[str, str]:
        for _ in range(2):
            try:
                with closing(tables.connect(self._path)) as database:
                    return tables.jobs(database)
            except FAILURES as error:
                if not tables.is_spoiled(error):
                    self.warning = f"{self._path}: {_said(error)}; history and backoff are not kept for now"
                    break
                self.warning = f"{self._path}: {_said(error)}; history and backoff begin anew"
                tables.set_aside(self._path)
        return {}

    def _write_all(self) -> None:
        count = 0
        while (batch := self._batch()) is not None:
            try:
                with closing(tables.connect(self._path)) as database, database:
                    tables.insert(database, batch)
                    count += len(batch)
                    if count >= PRUNE_EVERY:
                        count = 0
                        tables.prune(database)
            except FAILURES as error:
                self.dropped += len(batch)
                if tables.is_spoiled(error):  # the next batch begins anew
                    tables.set_aside(self._path)
            except Exception:  # noqa: BLE001  # a bug: the thread goes on
                self.dropped += len(batch)

    def _batch(self) -> list[Item] | None:
        """Wait for an attempt and return it with all that came meanwhile; None at the end."""
        batch: list[Item] = []
        item = self._items.get()
        if item is not None:
            self._closing.wait(GATHER_S)
        while item is not None:
            batch.append(item)
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._items.put(None)
        return batch or None


class Reader:
    """ports.Ledger for those who only look: it recalls and keeps nothing. A file that can't be read recalls nothing."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.warning = ""
        self.dropped = 0
        self._known: dict[str, str] = {}
        with suppress(*FAILURES), closing(tables.read_only(path_of(directory, instance))) as database:
            self._known = tables.jobs(database)

    def recall(self, job: str) -> Remembered | None:
        """Return what a daemon or a pass kept of `job`."""
        text = self._known.get(job)
        return None if text is None else remembered.read(text)

    def fetched(self, job: str) -> None:
        """Fetch nothing: there is no fleet."""

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep nothing."""

    def keep(self, job: str, kept: Remembered) -> None:
        """Keep nothing."""

    def rename(self, before: str, job: str) -> None:
        """Rename nothing."""

    def close(self) -> None:
        """Nothing is open."""


def history(path: Path, *, job: str | None, since: datetime | None) -> Iterator[Attempt]:
    """Yield the attempts of `path`, oldest first. Raises sqlite3.Error, OSError and ValueError."""
    if not path.exists():
        return
    with closing(tables.read_only(path)) as database:
        rows = database.execute(
            f"SELECT {COLUMNS} FROM attempts "  # noqa: S608  # names of our own
            "WHERE (:job IS NULL OR job = :job) AND at >= :since ORDER BY at, id",
            {"job": job, "since": since.timestamp() if since is not None else 0},
        )
        yield from (Attempt(**dict(zip(Attempt.__slots__, row, strict=True))) for row in rows)


def tried(path: Path, jobs: Collection[str], *, since: datetime) -> dict[str, list[timeline.Attempt]]:
    """Return the attempts of `jobs` from `since` on, and the last token before it, by job.

    Oldest first. Raises sqlite3.Error, OSError and ValueError.
    """
    if not path.exists():
        return {}
    with closing(tables.read_only(path)) as database:
        return by_job(tables.tried(database, jobs, since.timestamp()))


def by_job(rows: Iterable[Tried]) -> dict[str, list[timeline.Attempt]]:
    """Return the attempts of `rows` by job, in their order."""
    found: dict[str, list[timeline.Attempt]] = {}
    for name, at, outcome, duration, expires_at in rows:
        ended = datetime.fromtimestamp(at, UTC)
        found.setdefault(name, []).append(
            timeline.Attempt(
                began=ended - timedelta(milliseconds=duration),
                at=ended,
                written=outcome == "rotated",
                expires_at=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
            )
        )
    return found


def gone(path: Path, jobs: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the Vault paths of each job that is none of `jobs` and was tried within the retention, by its name."""
    with suppress(*FAILURES), closing(tables.read_only(path)) as database:
        kept = {job: remembered.read(text) for job, text in tables.left(database).items() if job not in jobs}
        return {job: one.places for job, one in sorted(kept.items()) if one is not None and one.places}
    return {}


def _said(error: Exception) -> str:
    return type(error).__name__


def attempt_of(ended: Outcome, at: datetime) -> Attempt:
    """Return the row of the history that is about `ended`."""
    place, version = ended.destinations[0] if ended.destinations else ("", None)
    return Attempt(
        job=ended.job,
        at=at.timestamp(),
        outcome=ended.outcome,
        reason=ended.reason,
        error=ended.error,
        http_status=ended.http_status,
        retry_after=ended.retry_after,
        expires_at=None if ended.expires_at is None else ended.expires_at.timestamp(),
        version=version,
        path=str(place),
        duration_ms=ended.duration_ms,
    )
