"""The ledger: every attempt with its outcome, and what a restart must not forget. SQLite in the state directory.

Rules of this module:
- It tells; it never steers and is never in the way: a thread of its own writes, and what fails there is dropped and
  counted.
- No secret is ever in it.
- What can't be read is set aside and begun anew: the facts stand in Vault, only history and backoff are lost.
"""

import os
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from refresher.core import remembered
from refresher.core.outcome import Outcome
from refresher.core.remembered import Remembered

VERSION: Final = 1
RETENTION: Final = timedelta(days=30)
MOST: Final = 200_000  # attempts kept, some 20 MB
PRUNE_EVERY: Final = 1000  # attempts
BACKLOG: Final = 10_000  # attempts that wait for the disk; what comes on top is dropped and counted
CLOSE_S: Final = 5.0
QUIET: Final = frozenset({"fresh", "halted"})
SCHEMA: Final = """
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, at REAL NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    error TEXT, http_status INTEGER, retry_after INTEGER, expires_at REAL, version INTEGER, path TEXT NOT NULL,
    duration_ms INTEGER NOT NULL
);
CREATE INDEX attempts_by_job ON attempts (job, at);
CREATE INDEX attempts_by_time ON attempts (at);
CREATE TABLE jobs (job TEXT PRIMARY KEY, remembered TEXT NOT NULL) WITHOUT ROWID;
"""
CREATE: Final = f"PRAGMA journal_mode = WAL; BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of the history; the moments are seconds since the epoch."""

    job: str
    at: float
    outcome: str
    reason: str
    error: str | None
    http_status: int | None
    retry_after: int | None
    expires_at: float | None
    version: int | None
    path: str
    duration_ms: int


_Item: TypeAlias = tuple[str, Attempt | None, str]  # a job, its attempt, and what is remembered of it from now on


class Ledger:
    """ports.Ledger over one file of an instance. `warning`: a line for people where the old one was set aside."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.warning = ""
        self.dropped = 0
        self._path = path_of(directory, instance)
        self._items: queue.Queue[_Item | None] = queue.Queue(BACKLOG)
        self._known = self._open()
        self._writer = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._writer.start()

    def recall(self, job: str) -> Remembered | None:
        """Return what an earlier process kept of `job`, once."""
        text = self._known.pop(job, None)
        return None if text is None else remembered.read(text)

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep what a walk came to; returns at once. One that attempted nothing makes no history."""
        attempt = None if ended.outcome in QUIET else _attempt(ended, at)
        try:
            self._items.put_nowait((ended.job, attempt, remembered.written(kept)))
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what is left, for a few seconds at most."""
        with suppress(queue.Full):
            self._items.put(None, timeout=CLOSE_S)
        self._writer.join(CLOSE_S)

    def _open(self) -> dict[str, str]:
        for _ in range(2):
            try:
                with closing(_connect(self._path)) as database:
                    return _jobs(database)
            except (sqlite3.Error, OSError, ValueError, UnicodeError) as error:
                self.warning = f"{self._path}: {type(error).__name__}; history and backoff begin anew"
                _set_aside(self._path)
        return {}

    def _write_all(self) -> None:
        count = 0
        while (batch := self._batch()) is not None:
            try:
                with closing(_connect(self._path)) as database, database:
                    _insert(database, batch)
                    count += len(batch)
                    if count >= PRUNE_EVERY:
                        count = 0
                        _prune(database)
            except (sqlite3.Error, OSError, ValueError):
                self.dropped += len(batch)

    def _batch(self) -> list[_Item] | None:
        """Wait for an attempt and return it with all that came meanwhile; None at the end."""
        batch: list[_Item] = []
        item = self._items.get()
        while item is not None:
            batch.append(item)
            try:
                item = self._items.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._items.put(None)
        return batch or None


def path_of(directory: Path, instance: str) -> Path:
    """Return the ledger's file."""
    return directory / f"ledger-{instance}.sqlite3"


class Reader:
    """ports.Ledger for those who only look: it recalls and keeps nothing. A file that can't be read recalls nothing."""

    def __init__(self, directory: Path, instance: str) -> None:
        self.warning = ""
        self._known: dict[str, str] = {}
        with (
            suppress(sqlite3.Error, OSError, ValueError),
            closing(_read_only(path_of(directory, instance))) as database,
        ):
            self._known = _jobs(database)

    def recall(self, job: str) -> Remembered | None:
        """Return what a daemon or a pass kept of `job`."""
        text = self._known.get(job)
        return None if text is None else remembered.read(text)

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Nothing is open."""


def history(path: Path, *, job: str | None, since: datetime | None) -> Iterator[Attempt]:
    """Yield the attempts of `path`, oldest first. Raises sqlite3.Error and OSError."""
    if not path.exists():
        return
    with closing(_read_only(path)) as database:
        rows = database.execute(
            "SELECT job, at, outcome, reason, error, http_status, retry_after, expires_at, version, path, duration_ms "
            "FROM attempts WHERE (:job IS NULL OR job = :job) AND at >= :since ORDER BY at, id",
            {"job": job, "since": since.timestamp() if since is not None else 0},
        )
        yield from (Attempt(**dict(zip(Attempt.__slots__, row, strict=True))) for row in rows)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)


def _jobs(database: sqlite3.Connection) -> dict[str, str]:
    rows = database.execute("SELECT job, remembered FROM jobs")
    return {job: kept for job, kept in rows if isinstance(job, str) and isinstance(kept, str)}


def _connect(path: Path) -> sqlite3.Connection:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(file)
    with ExitStack() as stack:
        database = stack.enter_context(closing(sqlite3.connect(path, timeout=2)))
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(CREATE)
        elif version != VERSION:
            raise ValueError(f"version {version}")
        database.execute("PRAGMA synchronous = NORMAL")
        stack.pop_all()  # whoever asked for it closes it
        return database


def _insert(database: sqlite3.Connection, batch: list[_Item]) -> None:
    attempts = [astuple(attempt) for _, attempt, _ in batch if attempt is not None]
    marks = ", ".join("?" * len(Attempt.__slots__))
    names = ", ".join(Attempt.__slots__)
    database.executemany(f"INSERT INTO attempts ({names}) VALUES ({marks})", attempts)  # noqa: S608  # names of our own
    database.executemany(
        "INSERT OR REPLACE INTO jobs (job, remembered) VALUES (?, ?)", [(job, kept) for job, _, kept in batch]
    )


def _prune(database: sqlite3.Connection) -> None:
    (newest,) = database.execute("SELECT max(at) FROM attempts").fetchone()
    database.execute("DELETE FROM attempts WHERE at < ?", (newest - RETENTION.total_seconds(),))
    database.execute("DELETE FROM attempts WHERE id <= (SELECT max(id) FROM attempts) - ?", (MOST,))


def _set_aside(path: Path) -> None:
    """Move a file that can't be read out of the way; the last one set aside is kept."""
    with suppress(OSError):
        path.rename(path.with_suffix(".unreadable"))
    for name in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + name).unlink()


def _attempt(ended: Outcome, at: datetime) -> Attempt:
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
        duration_ms=round(ended.duration / timedelta(milliseconds=1)),
    )
