"""What a fleet remembers together: the ledger of this node, and beside it the fleet's tables in PostgreSQL.

Rules of this module:
- The local ledger keeps all that this node did. What another node must know goes to PostgreSQL before the job does.
- It is never in the way: `note` returns at once; what PostgreSQL does not take is kept for the next time.
- No secret is ever in it: fingerprints are keyed, by a key that stands in Vault.
- The nodes' clocks need not agree: how long ago a job was told of, PostgreSQL says.
"""

from collections.abc import Iterable
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from refresher.core import remembered
from refresher.core.outcome import Outcome
from refresher.core.remembered import Remembered
from refresher.ports import Clock
from refresher.state.ledger import QUIET, attempt_of
from refresher.state.tables import MOST, RETENTION, Attempt

BACKLOG: Final = 10_000  # jobs that wait for PostgreSQL
EACH: Final = 50  # attempts of one job that do


class Connection(Protocol):
    """What we need of a connection to PostgreSQL."""

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return rows."""

    async def execute(self, query: str, *args: object) -> str:
        """Return what was done."""


class Local(Protocol):
    """The ledger of this node."""

    warning: str
    dropped: int

    def recall(self, job: str) -> Remembered | None: ...
    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None: ...
    def keep(self, job: str, kept: Remembered) -> None: ...
    def rename(self, before: str, job: str) -> None: ...
    def close(self) -> None: ...


class SharedLedger:
    """ports.Ledger of one node of a fleet."""

    def __init__(self, local: Local, schema: str, holder: str, clock: Clock) -> None:
        self._local, self._clock = local, clock
        self._jobs, self._attempts = f"{schema}.refresher_jobs", f"{schema}.refresher_attempts"
        self._holder = holder
        self._known: dict[str, tuple[str, datetime]] = {}  # with when it was told of, by our clock
        self._waiting: dict[str, tuple[list[Attempt], str]] = {}

    @property
    def warning(self) -> str:
        """What there is to say of the local ledger."""
        return self._local.warning

    @property
    def dropped(self) -> int:
        """How many attempts the local ledger did not keep."""
        return self._local.dropped

    def recall(self, job: str) -> Remembered | None:
        """Return what the fleet keeps of `job`, once after each `fetch`; else what this node kept.

        What it has noted, it had done before it told of it: who says otherwise has a clock that is ahead of ours.
        """
        if (known := self._known.pop(job, None)) is None:
            return self._local.recall(job)
        text, told_at = known
        return None if (kept := remembered.read(text)) is None else kept.as_of(told_at)

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep what a walk came to, here, and for the fleet."""
        self._local.note(ended, at, kept)
        attempts = self._waiting.get(ended.job, ([], ""))[0]
        if ended.outcome not in QUIET:
            attempts.append(attempt_of(ended, at))
        if ended.job in self._waiting or len(self._waiting) < BACKLOG:
            self._waiting[ended.job] = attempts[-EACH:], remembered.written(kept)

    def keep(self, job: str, kept: Remembered) -> None:
        """Keep what is known of `job`, without an attempt: here, and for the fleet."""
        self._local.keep(job, kept)
        self._waiting[job] = self._waiting.get(job, ([], ""))[0], remembered.written(kept)

    def rename(self, before: str, job: str) -> None:
        """Have `job` go on with what was kept of it here under the name `before`."""
        self._local.rename(before, job)
        if before in self._waiting:
            self._waiting[job] = self._waiting.pop(before)

    def close(self) -> None:
        """Write what is left, here."""
        self._local.close()

    async def fetch(self, connection: Connection, job: str) -> None:
        """Have what the fleet keeps of `job` ready to be recalled. What this node has not told yet is newer."""
        self._known.pop(job, None)
        if job in self._waiting:
            return
        asked = f"SELECT kept, now() - updated AS age FROM {self._jobs} WHERE job = $1"  # noqa: S608  # names of our own
        for row in await connection.fetch(asked, job):
            self._known[job] = row["kept"], self._clock.now() - max(row["age"], timedelta())

    async def tell(self, connection: Connection, jobs: Iterable[str] | None = None) -> None:
        """Tell the fleet what was noted of `jobs`, or of all."""
        for job in tuple(self._waiting) if jobs is None else jobs:
            waiting = self._waiting.get(job)
            if waiting is None:
                continue
            attempts, kept = waiting
            await connection.execute(
                f"INSERT INTO {self._jobs} (job, kept, holder) VALUES ($1, $2, $3)"  # noqa: S608  # names of our own
                " ON CONFLICT (job) DO UPDATE SET kept = $2, holder = $3, updated = now()",
                job,
                kept,
                self._holder,
            )
            while attempts:
                await connection.execute(
                    f"INSERT INTO {self._attempts} (holder, {', '.join(Attempt.__slots__)})"  # noqa: S608  # as above
                    f" VALUES ({', '.join(f'${n}' for n in range(1, len(Attempt.__slots__) + 2))})",
                    self._holder,
                    *astuple(attempts[0]),
                )
                attempts.pop(0)
            if self._waiting.get(job) is waiting:
                del self._waiting[job]

    async def prune(self, connection: Connection) -> None:
        """Forget attempts that are older than the retention, or more than there is room for."""
        await connection.execute(
            f"DELETE FROM {self._attempts} WHERE at < extract(epoch FROM now()) - $1"  # noqa: S608  # names of our own
            f" OR id <= (SELECT max(id) FROM {self._attempts}) - {MOST * 10}",
            RETENTION.total_seconds(),
        )


async def history(connection: Connection, schema: str, job: str | None, since: datetime | None) -> list[Attempt]:
    """Return the attempts of the whole fleet, oldest first."""
    rows = await connection.fetch(
        f"SELECT {', '.join(Attempt.__slots__)} FROM {schema}.refresher_attempts"  # noqa: S608  # names of our own
        " WHERE ($1::text IS NULL OR job = $1) AND at >= $2 ORDER BY at, id",
        job,
        0.0 if since is None else since.timestamp(),
    )
    return [Attempt(**dict(row)) for row in rows]
