"""What a fleet remembers together: the ledger of this node, and beside it the fleet's tables in PostgreSQL.

Rules of this module:
- The local ledger keeps all that this node did. What another node must know goes to PostgreSQL before the job does.
- It is never in the way: `note` returns at once; what PostgreSQL does not take is kept for the next time.
- No secret is ever in it: fingerprints are keyed, by a key that stands in Vault.
- The nodes' clocks need not agree: how long ago a job was told of, PostgreSQL says.
- What a person has decided of a job stands in a column of its own: no walk that was under way writes it over.
"""

import asyncio
import socket
from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from refresher.core import remembered, timeline
from refresher.core.outcome import Outcome
from refresher.core.remembered import News, Remembered
from refresher.ports import Clock
from refresher.state import renamed
from refresher.state.ledger import QUIET, attempt_of, by_job
from refresher.state.renamed import Connection
from refresher.state.tables import MOST, RETENTION, Attempt

BACKLOG: Final = 10_000  # jobs that wait for PostgreSQL
EACH: Final = 50  # attempts of one job that do
PAGE: Final = 500  # jobs of which is heard in one go
TRIED: Final = ("job", "at", "outcome", "duration_ms", "expires_at")
ROW: Final = "job, kept, orders, holder, host, updated, now() - updated AS age"
Cursor: TypeAlias = tuple[datetime, str]


class Local(Protocol):
    """The ledger of this node."""

    warning: str
    dropped: int

    def recall(self, job: str) -> Remembered | None: ...
    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None: ...
    def keep(self, job: str, kept: Remembered) -> None: ...
    def rename(self, before: str, job: str) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Waiting:
    """What of a job is to be told. `noted`: a walk ended, and `kept` is what it left. `orders`: a person's, or none."""

    kept: str
    noted: bool = False
    orders: str | None = None
    attempts: list[Attempt] = field(default_factory=list)


class SharedLedger:
    """ports.Ledger of one node of a fleet."""

    def __init__(self, local: Local, schema: str, holder: str, clock: Clock) -> None:
        self._local, self._clock = local, clock
        self._jobs, self._attempts = f"{schema}.refresher_jobs", f"{schema}.refresher_attempts"
        self._schema, self._holder, self._host = schema, holder, socket.gethostname()
        self._known: dict[str, Remembered | None] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._renamed: dict[str, str] = {}  # jobs under whose old names the fleet may keep something yet
        self._telling = asyncio.Lock()

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
        return self._known.pop(job) if job in self._known else self._local.recall(job)

    def fetched(self, job: str) -> Remembered | None:
        """Return what the fleet keeps of `job`, once after each `fetch`."""
        return self._known.pop(job, None)

    def note(self, ended: Outcome, at: datetime, kept: Remembered) -> None:
        """Keep what a walk came to, here, and for the fleet."""
        self._local.note(ended, at, kept)
        if ended.job in self._waiting or len(self._waiting) < BACKLOG:
            waiting = self._entry(ended.job, kept)
            waiting.noted = True
            if ended.outcome not in QUIET:
                waiting.attempts.append(attempt_of(ended, at))
                del waiting.attempts[:-EACH]

    def keep(self, job: str, kept: Remembered) -> None:
        """Keep what a person has decided of `job`: here, and for the fleet."""
        self._local.keep(job, kept)
        self._entry(job, kept).orders = remembered.written_orders(kept.orders)

    def _entry(self, job: str, kept: Remembered) -> _Waiting:
        """Return a new entry of what waits of `job`, which goes on from the one before."""
        before = self._waiting.get(job, _Waiting(""))
        self._waiting[job] = entry = replace(before, kept=remembered.written(kept))
        return entry

    def rename(self, before: str, job: str) -> None:
        """Have `job` go on with what was kept of it under the name `before`: here, and soon in the fleet."""
        self._local.rename(before, job)
        self._renamed[job] = before
        if before in self._waiting:
            self._waiting[job] = self._waiting.pop(before)

    def close(self) -> None:
        """Write what is left, here."""
        self._local.close()

    async def fetch(self, connection: Connection, job: str) -> None:
        """Have what the fleet keeps of `job` ready to be recalled, with what this node has not told yet."""
        await self.tell(connection, (job,))
        self._known.pop(job, None)
        for row in await connection.fetch(f"SELECT {ROW} FROM {self._jobs} WHERE job = $1", job):  # noqa: S608  # names of our own
            self._known[job] = self._read(row)

    async def news(self, connection: Connection, after: Cursor) -> tuple[list[News], Cursor | None]:
        """Return a page of what the nodes have told since `after`, and where it goes on; None: that was all."""
        rows = await connection.fetch(
            f"SELECT {ROW} FROM {self._jobs} WHERE (updated, job) > ($1, $2)"  # noqa: S608  # as above
            f" ORDER BY updated, job LIMIT {PAGE}",
            *after,
        )
        return self._news(rows), (rows[-1]["updated"], rows[-1]["job"]) if rows else None

    async def news_of(self, connection: Connection, job: str) -> list[News]:
        """Return what the fleet keeps of `job`, if anything."""
        async with self._telling:
            await self._move(connection, job)
        return self._news(
            await connection.fetch(
                f"SELECT {ROW} FROM {self._jobs} WHERE job = $1",  # noqa: S608  # as above
                job,
            )
        )

    def _news(self, rows: Iterable[Any]) -> list[News]:
        """Return what other nodes told; what this one has yet to tell is newer."""
        return [
            News(job=row["job"], kept=kept, holder=row["holder"], at=row["updated"], host=row["host"] or "")
            for row in rows
            if row["job"] not in self._waiting and (kept := self._read(row)) is not None
        ]

    def _read(self, row: Any) -> Remembered | None:  # noqa: ANN401  # a row of the driver's
        """Return what a row keeps, as of when it was told of, by our clock."""
        if (kept := remembered.read(row["kept"])) is None:
            return None
        kept = kept.as_of(self._clock.now() - max(row["age"], timedelta()))
        orders = None if row["orders"] is None else remembered.orders_in(row["orders"])
        return kept if orders is None else replace(kept, orders=orders)

    async def tell(self, connection: Connection, jobs: Iterable[str] | None = None) -> None:
        """Tell the fleet what was noted of `jobs`, or of all; one after the other, so that nothing is told twice."""
        async with self._telling:
            await self._tell(connection, jobs)

    async def _tell(self, connection: Connection, jobs: Iterable[str] | None) -> None:
        for job in tuple(self._waiting) if jobs is None else jobs:
            await self._move(connection, job)
            waiting = self._waiting.get(job)
            if waiting is None:
                continue
            await connection.execute(
                f"INSERT INTO {self._jobs} AS known (job, kept, holder, orders, host) VALUES ($1, $2, $3, $4, $6)"  # noqa: S608  # names of our own
                " ON CONFLICT (job) DO UPDATE SET kept = CASE WHEN $5 THEN $2 ELSE known.kept END,"
                " holder = CASE WHEN $5 THEN $3 ELSE known.holder END,"
                " host = CASE WHEN $5 THEN $6 ELSE known.host END,"
                " orders = COALESCE($4, known.orders), updated = now()",
                job,
                waiting.kept,
                self._holder,
                waiting.orders,
                waiting.noted,
                self._host,
            )
            while waiting.attempts:
                await connection.execute(
                    f"INSERT INTO {self._attempts} (holder, {', '.join(Attempt.__slots__)})"  # noqa: S608  # as above
                    f" VALUES ({', '.join(f'${n}' for n in range(1, len(Attempt.__slots__) + 2))})",
                    self._holder,
                    *astuple(waiting.attempts[0]),
                )
                waiting.attempts.pop(0)
            if self._waiting.get(job) is waiting:
                del self._waiting[job]

    async def _move(self, connection: Connection, job: str) -> None:
        """Have `job` go on in the fleet with what stands there under its old name, where it is not known by the new."""
        if (before := self._renamed.get(job)) is not None:
            await renamed.move(connection, self._schema, before, job)
            self._renamed.pop(job, None)

    async def tried(
        self, connection: Connection, jobs: Collection[str], since: datetime
    ) -> dict[str, list[timeline.Attempt]]:
        """Return what all nodes tried of `jobs` from `since` on, and the last token before, by job, oldest first."""
        what = f"SELECT id, job, at, outcome, duration_ms, expires_at FROM {self._attempts} WHERE job = name"  # noqa: S608  # names of our own
        rows = await connection.fetch(
            f"SELECT found.* FROM unnest($1::text[]) AS wanted(name), LATERAL ("  # noqa: S608  # as above
            f" ({what} AND outcome = 'rotated' AND at < $2 ORDER BY at DESC, id DESC LIMIT 1)"
            f" UNION ALL ({what} AND at >= $2)) AS found ORDER BY at, id",
            list(jobs),
            since.timestamp(),
        )
        return by_job(tuple(row[name] for name in TRIED) for row in rows)

    async def history(self, connection: Connection, job: str, since: datetime) -> list[Attempt]:
        """Return all attempts at `job` from `since` on, oldest first."""
        return await history(connection, self._schema, job, since)

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
