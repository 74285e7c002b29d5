"""The ledger's file: its tables, and what is done when it is none.

Rules of this module:
- What is opened is a regular file: a pipe or a folder in its place holds nobody up.
- What can't be read is set aside; a file that is busy, or a disk that is full, is no such thing.
"""

import os
import secrets
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import astuple, dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Final, TypeAlias

from refresher.core import filenames

VERSION: Final = 1
RETENTION: Final = timedelta(days=30)
MOST: Final = 200_000  # attempts kept, some 20 MB
MOST_JOBS: Final = 200_000  # remembered; beyond that, those without an attempt go
PASSING: Final = frozenset(  # nothing is wrong with the file
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    )
)
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
LONG_PAST: Final = """
DELETE FROM attempts WHERE at < (SELECT min(max(at), CAST(strftime('%s', 'now') AS REAL)) - ? FROM attempts)
"""  # one attempt under a clock that was ahead must not make all others old
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


Item: TypeAlias = tuple[str, Attempt | str | None, str]  # a job, its attempt or old name, what is remembered of it


Tried: TypeAlias = tuple[str, float, str, int, float | None]  # job, end, outcome, duration, expiry


def path_of(directory: Path, instance: str) -> Path:
    """Return the ledger's file."""
    return directory / f"ledger-{filenames.of(instance)}.sqlite3"


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger to write, made anew where there is none. Raises sqlite3.Error, OSError, ValueError."""
    _check(path, os.O_RDWR | os.O_CREAT)
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


def read_only(path: Path) -> sqlite3.Connection:
    """Open a ledger that is there. Raises sqlite3.Error, OSError, ValueError."""
    _check(path, os.O_RDONLY)
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)


def _check(path: Path, flags: int) -> None:
    file = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ValueError("no regular file")
    finally:
        os.close(file)


def is_spoiled(error: Exception) -> bool:
    """Whether `error` means that the file is of no use: damaged, of another version, or no file of ours at all."""
    if isinstance(error, OSError) and not isinstance(error, IsADirectoryError):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF not in PASSING


def jobs(database: sqlite3.Connection) -> dict[str, str]:
    """Return what is remembered of each job."""
    rows = database.execute("SELECT job, remembered FROM jobs")
    return {job: kept for job, kept in rows if isinstance(job, str) and isinstance(kept, str)}


def left(database: sqlite3.Connection) -> dict[str, str]:
    """Return what is remembered of each job that was tried within the retention."""
    rows = database.execute("SELECT job, remembered FROM jobs WHERE job IN (SELECT job FROM attempts)")
    return {job: kept for job, kept in rows if isinstance(job, str) and isinstance(kept, str)}


def tried(database: sqlite3.Connection, jobs: Iterable[str], since: float) -> Iterator[Tried]:
    """Yield job, end, outcome, duration and expiry of the attempts from `since` on, and of the last token before."""
    what = "SELECT job, at, outcome, duration_ms, expires_at FROM attempts WHERE job = :job"
    for job in jobs:
        named = {"job": job, "since": since}
        yield from database.execute(
            f"{what} AND outcome = 'rotated' AND at < :since ORDER BY at DESC, id DESC LIMIT 1", named
        )
        yield from database.execute(f"{what} AND at >= :since ORDER BY at, id", named)


def insert(database: sqlite3.Connection, batch: list[Item]) -> None:
    """Write what came, in the order in which it came."""
    marks = ", ".join("?" * len(Attempt.__slots__))
    names = ", ".join(Attempt.__slots__)
    for renamed, items in groupby(batch, lambda item: isinstance(item[1], str)):
        if renamed:
            _rename(database, [(job, before) for job, before, _ in items])
            continue
        some = list(items)
        attempts = [astuple(attempt) for _, attempt, _ in some if isinstance(attempt, Attempt)]
        database.executemany(f"INSERT INTO attempts ({names}) VALUES ({marks})", attempts)  # noqa: S608  # names of our own
        database.executemany(
            "INSERT OR REPLACE INTO jobs (job, remembered) VALUES (?, ?)", [(job, kept) for job, _, kept in some]
        )


def _rename(database: sqlite3.Connection, names: list[tuple[object, object]]) -> None:
    """Give the rows of each old name to the new one; what is remembered of that already stands."""
    database.executemany("UPDATE attempts SET job = ? WHERE job = ?", names)
    database.executemany("INSERT OR IGNORE INTO jobs SELECT ?, remembered FROM jobs WHERE job = ?", names)
    database.executemany("DELETE FROM jobs WHERE job = ?", [(before,) for _, before in names])


def prune(database: sqlite3.Connection) -> None:
    """Forget what is older than the retention, and what is more than there is room for."""
    database.execute(LONG_PAST, (RETENTION.total_seconds(),))
    database.execute("DELETE FROM attempts WHERE id <= (SELECT max(id) FROM attempts) - ?", (MOST,))
    (count,) = database.execute("SELECT count(*) FROM jobs").fetchone()
    if count > MOST_JOBS:
        database.execute("DELETE FROM jobs WHERE job NOT IN (SELECT job FROM attempts)")


def set_aside(path: Path) -> None:
    """Move a file that can't be read out of the way; the last one set aside is kept."""
    try:
        path.rename(path.with_suffix(".unreadable"))
    except OSError:  # a folder, or in the place of one
        with suppress(OSError):
            path.rename(path.with_suffix(f".unreadable-{secrets.token_hex(4)}"))
    for name in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + name).unlink()
