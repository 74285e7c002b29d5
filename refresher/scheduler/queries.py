"""pgqueuer's statements, with the one that we can't leave to it: how a job goes back into the table."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain import models

# pgqueuer takes rows by priority, then by their age. What came due first is to go first, also where there is more than
# the fleet can do. In seconds: an integer holds 68 years of them, and what comes due later than that is last of all.
DUE_FIRST: Final = (
    "priority = -least(extract(epoch FROM now() + $2::interval - timestamptz '2026-01-01 00:00Z'), 2147483647)::int"
)


@dataclasses.dataclass
class FencedQueries(Queries):
    """pgqueuer's, but a job goes back only where it is still this node's, without a traceback, and is never deleted.

    pgqueuer 1.6 matches by the row's id alone: a node that was frozen puts off a row that another has in hand. It
    writes the traceback of whatever led there, which may hold a token. And it deletes the row where the statement
    fails. Here the row then stays picked, and goes to somebody once its lease is over.
    """

    failed: Callable[[BaseException], None] = lambda _: None

    async def retry_job(
        self,
        job: models.Job,
        delay: timedelta,
        traceback_record: models.TracebackRecord | None,  # noqa: ARG002  # never kept
    ) -> None:
        """Have `job` come due after `delay`, by PostgreSQL's clock."""
        try:
            await self.driver.execute(
                f"UPDATE {self.qbq.qualified.queue_table} SET status = 'queued', execute_after = now() + $2::interval,"  # noqa: S608  # names of our own
                f" {DUE_FIRST},"
                " attempts = attempts + 1, updated = now(), queue_manager_id = NULL, slot = NULL"
                " WHERE id = $1 AND status = 'picked' AND queue_manager_id = $3",
                job.id,
                delay,
                job.queue_manager_id,
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, the lease mends it
            self.failed(error)
