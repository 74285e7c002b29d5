"""A job that was renamed keeps what it had: the state record goes from the old name to the new one, by check-and-set.

Rules of this module:
- First what the old name left behind is finished: an answer in the journal, an intent of somebody who may still live.
- The old record is locked by an intent, as before a request: who knows it by the old name alone spends nothing more.
- Then the new record is written, then the old one emptied. Whoever is killed in between goes on from what stands there.
- A record that has a life of its own under the new name is left alone.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from refresher.charge import NONE, Charge, Identity
from refresher.core import published
from refresher.core.errors import StoreConflictError
from refresher.core.job import Job
from refresher.core.published import StateRecord
from refresher.keeping import Keeping
from refresher.look import Look
from refresher.ports import Clock, Journal, SecretStore

TRIES: Final = 3  # of one move that others overtake
MOVED: Final = "moved"  # in place of a nonce: nothing is being spent


class Moving:
    """Looks at jobs; a renamed one gets its state record first. `journal` None: for those who only look."""

    def __init__(  # noqa: PLR0913  # the ports of the design
        self,
        *,
        look: Look,
        keeping: Keeping,
        stores: Mapping[str, SecretStore],
        journal: Journal | None,
        clock: Clock,
        identity: Identity,
        save: Callable[[Charge], Awaitable[object]],
    ) -> None:
        self._look = look
        self._keeping = keeping
        self._stores = stores
        self._journal = journal
        self._clock = clock
        self._identity = identity
        self._save = save

    async def look_at(self, charge: Charge) -> None:
        """Read what stands at the job's paths, and take up what an earlier process left. Raises StoreError."""
        if charge.unmoved and self._journal is not None:
            await self._carry(charge)
        await self._look.at(charge)
        await self._keeping.recall(charge)

    async def _carry(self, charge: Charge) -> None:
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                await self._move(charge)
            except StoreConflictError as error:
                if last or error.code != "cas":
                    raise
            else:
                charge.carried, charge.former = True, None
                return

    async def _move(self, charge: Charge) -> None:
        job, former = charge.job, charge.job.former
        old, new = await self._record(former), await self._record(job)
        if old.version is None:
            return  # KV v1 has no check-and-set, and no such jobs
        arrived = new.moved == f"from {former.name}"
        if old.moved != f"to {job.name}":
            empty = new.refresh_token is None and not new.spending
            if not (empty or arrived) or not self._has(old, former):
                return
            old = await self._finished(charge, former)
            if old.refresh_token is None and not old.spending:
                return
            old = await self._write(former, self._locked(old, job, above=new.highest))
            arrived = False
        if not arrived and new.highest <= old.generation:
            spending = old.nonce != MOVED
            moved = replace(old, version=new.version, moved=f"from {former.name}", spending=spending)
            await self._write(job, moved if spending else replace(moved, generation=old.generation + 1))
        await self._write(former, replace(old, refresh_token=None, spending=False, moved=""))

    async def _finished(self, charge: Charge, former: Job) -> StateRecord:
        """Return the record of the old name once nothing of it is unwritten, and nobody may be spending its grant.

        Of one that a restore of Vault brought back, without its refresh token: that is spent.
        """
        if charge.former is None:
            charge.former = replace(charge, job=former, held=None, versions=(), record=None, recalled=False)
            charge.former.owed, charge.former.behind = None, NONE
        one = charge.former
        await self._look.at(one)
        await self._keeping.recall(one)
        if one.pending:
            await self._save(one)
        await self._keeping.close(one)
        charge.told = one.told
        if one.leased_until is not None and charge.now(self._clock) < one.leased_until:
            raise StoreConflictError(
                "busy", f"{former.state}: another daemon may be spending the grant of the old name"
            )
        record = one.record or await self._record(former)
        return replace(record, refresh_token=None) if one.went_back else record

    def _locked(self, record: StateRecord, job: Job, *, above: int) -> StateRecord:
        """Return `record` as an intent to move it to `job`, where a record of the generation `above` stood before."""
        generation = max(record.generation, above)
        following = max(record.highest, generation + 1)
        locked = replace(record, generation=generation, following=following, moved=f"to {job.name}")
        return locked if record.spending else replace(locked, spending=True, nonce=MOVED, holder=self._identity.holder)

    def _has(self, record: StateRecord, job: Job) -> bool:
        """Whether there is anything under that name."""
        journalled = self._journal is not None and self._journal.has(job.name)
        return record.refresh_token is not None or record.spending or journalled

    async def _record(self, job: Job) -> StateRecord:
        return published.record_of(await self._stores[job.states.cluster].read(job.state))

    async def _write(self, job: Job, record: StateRecord) -> StateRecord:
        now = self._clock.now().replace(microsecond=0)
        data = published.record_data(record, job, self._identity.instance, now)
        written = await self._stores[job.states.cluster].write(job.state, data, cas=record.version)
        return replace(record, version=written.version, updated_at=now)
