"""What is spent is not lost: the intent before, the journal after, and what a restart makes of what it finds.

Rules of this module:
- Nothing is spent before the state record says so (phase `spending`), by check-and-set: that is also the lock.
- An answer is in the journal before anything is written to Vault, and there until Vault has all of it.
- An intent without an answer: nobody knows whether the grant was spent. That is told once, and never guessed.
- A refresh token of a state record that went back (Vault restored from a snapshot) is not sent.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from refresher import intent as intents
from refresher.charge import Charge, Identity
from refresher.core import entry, outcome, published
from refresher.core.entry import Entry
from refresher.core.errors import StoreConflictError, StoreError, StoreRefusedError
from refresher.core.fingerprint import fingerprint
from refresher.core.published import Intent, StateRecord
from refresher.core.remembered import Seen
from refresher.deletions import Deletions
from refresher.journal_key import Keys
from refresher.ports import Clock, Journal, SecretStore, Sink

TRIES: Final = 3  # of one write that others overtake
LATE: Final = 8  # tries that may land after the last: a leader that goes hands its writes on to the next one


class Keeping:
    """Keeps the state record and the journal of irreplaceable jobs. `journal` None: for those who only look."""

    def __init__(
        self,
        *,
        stores: Mapping[str, SecretStore],
        journal: Journal | None,
        clock: Clock,
        sink: Sink,
        identity: Identity,
    ) -> None:
        self._stores = stores
        self._journal = journal
        self._clock = clock
        self._sink = sink
        self._identity = identity
        self._keys = Keys(stores, identity)
        self._deletions = Deletions(sink)

    async def recall(self, charge: Charge) -> None:
        """After a look: take up what an earlier process left, and judge the state record. Raises StoreError."""
        record = charge.record
        if self._journal is None or record is None or not charge.job.irreplaceable or charge.pending:
            return
        if not charge.recalled and not self._journal.busy(charge.job.name):
            found = await self._entry(charge)
            charge.recalled = True
            if found is not None and (found.generation > record.generation or found.nonce == record.nonce):
                charge.take_up(found, journalled=True)
                return
        if self._went_back(charge, record):
            last = await self._entry(charge, last=True)
            if last is not None and self._is_newest(charge, last):
                charge.take_up(replace(last, token=None), journalled=False)
                return
        else:
            self._saw(charge, record)
        ours = record.holder == self._identity.holder and not self._journal.busy(charge.job.name)
        intents.weigh(charge, record, charge.now(self._clock), self._sink, ours=ours)

    async def intend(self, charge: Charge) -> None:
        """Say in the state record that a grant is about to be spent. Raises StoreError: then nothing is."""
        record, job = charge.record, charge.job
        if self._journal is None or record is None or not job.irreplaceable:
            return
        await self._keys.of(job.states)
        await self.close(charge)
        await self._reserve(charge)
        newest = 0 if charge.newest is None else charge.newest.generation
        for _ in range(TRIES):
            intent = Intent(nonce=secrets.token_hex(8), generation=max(record.highest, newest) + 1)
            holder = self._identity.holder
            new = replace(record, spending=True, holder=holder, nonce=intent.nonce, following=intent.generation)
            if charge.went_back:
                new = replace(new, refresh_token=None)  # a spent one: it must not come to life again
            charge.settled = (*charge.settled[-LATE:], intent.nonce)  # should it land although it fails, or later
            try:
                charge.record = await self._write(charge, new)
            except StoreConflictError:
                before, record = record, published.record_of(await self._stores[job.states.cluster].read(job.state))
                if record.spending or record.refresh_token != before.refresh_token:
                    raise  # there is more to it than a version
                continue
            charge.intent, charge.settled = intent, ()
            if charge.unknown:
                charge.told = intent.nonce
            return
        raise StoreConflictError("cas", f"{job.state}: somebody else keeps writing the state record")

    async def note(self, charge: Charge) -> None:
        """Put the answer in hand into the journal, before anything is written to Vault."""
        if self._journal is None or charge.intent is None:
            return
        intent, job = charge.intent, charge.job
        answer = Entry(
            job=job.name,
            nonce=intent.nonce,
            generation=intent.generation,
            refresh_token=intents.newest(charge, charge.record),
            token=charge.unwritten,
        )
        there = await self._journal.enter(job.name, entry.written(answer, job), await self._keys.of(job.states))
        charge.journalled = there
        if not there and charge.slot == "reserved":
            error = StoreRefusedError("journal", "the disk did not take what was set apart for it")
            self._sink.tell(outcome.unjournalled(job.name, error))

    async def record(self, charge: Charge) -> None:
        """Write what was issued to the state record, phase idle. Raises StoreError.

        A record that somebody else took over meanwhile is left alone: what stands there is newer.
        """
        intent = charge.intent
        if charge.unkept is None and (intent is None or charge.unwritten is None):
            return  # no answer is in hand
        job, store = charge.job, self._stores[charge.job.states.cluster]
        record = charge.record or published.record_of(await store.read(job.state))
        spent = record.refresh_token
        for _ in range(TRIES):
            refresh_token = intents.newest(charge, record)
            kept = record.refresh_token == refresh_token and not record.spending
            after = intent is not None and record.is_after(intent.nonce, intent.generation)
            if kept or (after and (charge.unkept is None or spent is None or record.refresh_token != spent)):
                self._settle(charge, record)
                return
            generation = record.generation
            if refresh_token != record.refresh_token:
                generation = max(generation + 1, intent.generation if intent is not None else 0)
            new = replace(
                record,
                refresh_token=refresh_token,
                generation=generation,
                spending=False,
                holder=self._identity.holder,
                nonce=intent.nonce if intent is not None else secrets.token_hex(8),
            )
            try:
                record = await self._write(charge, replace(new, version=record.version))
            except StoreConflictError:  # the answer in hand is the newest: only the record's version was not known
                record = published.record_of(await store.read(job.state))
                continue
            self._settle(charge, record)
            return
        raise StoreConflictError("cas", f"{job.state}: somebody else keeps writing the state record")

    async def withdraw(self, charge: Charge, *, unknown: bool) -> None:
        """Say that the grant was not spent after all; where Vault does not take it now, remember so much.

        `unknown`: it may be spent. Then the intent is left to stand, as it is where that was so before.
        """
        intent, record = charge.intent, charge.record
        charge.intent = None
        if intent is None or record is None or unknown:
            return
        charge.settled = (intent.nonce,)
        if charge.unknown:
            return
        try:
            charge.record = await self._write(charge, replace(record, spending=False))
        except StoreError:
            charge.record = replace(record, spending=False)

    async def close(self, charge: Charge) -> None:
        """At the end of a walk: an answer that is in Vault whole becomes the last pair; an unused slot is given up."""
        if self._journal is None or charge.pending:
            return
        if charge.journalled:
            await self._journal.keep(charge.job.name)
        elif charge.slot == "reserved":
            await self._journal.release(charge.job.name)
        charge.journalled, charge.slot = False, "" if charge.slot == "reserved" else charge.slot

    async def _reserve(self, charge: Charge) -> None:
        """A disk that is full is told of, and stops nobody: without the journal a crash loses an answer, not sooner."""
        if self._journal is None or charge.slot == "reserved":
            return
        try:
            await self._journal.reserve(charge.job.name)
        except StoreRefusedError as error:
            if charge.slot != "refused":
                self._sink.tell(outcome.unjournalled(charge.job.name, error))
            charge.slot = "refused"
        else:
            charge.slot = "reserved"

    async def _write(self, charge: Charge, new: StateRecord) -> StateRecord:
        job, now = charge.job, self._clock.now().replace(microsecond=0)
        new = replace(new, updated_at=now, moved="")
        data = published.record_data(new, job, self._identity.instance, now)
        written = await self._stores[job.states.cluster].write(job.state, data, cas=new.version)
        self._deletions.noted(job, job.state, written.deletion_time)
        return replace(new, version=written.version, deletion_time=written.deletion_time)

    def _settle(self, charge: Charge, record: StateRecord) -> None:
        charge.record, charge.unkept, charge.intent = record, None, None
        charge.unknown = charge.went_back = False
        self._saw(charge, record)

    def _saw(self, charge: Charge, record: StateRecord) -> None:
        charge.went_back = False
        if record.updated_at is not None and not record.spending:
            mark = self._fingerprint(record)
            charge.newest = Seen(generation=record.generation, updated_at=record.updated_at, fingerprint=mark)

    def _went_back(self, charge: Charge, record: StateRecord) -> bool:
        """Whether the record is an older one than was seen before, and its refresh token another."""
        newest = charge.newest
        if newest is None or not newest.is_newer_than(record, self._fingerprint(record)):
            return False
        if not charge.went_back:
            self._sink.tell(outcome.went_back(charge.job, record, newest.generation))
        charge.went_back = True
        return True

    def _is_newest(self, charge: Charge, last: Entry) -> bool:
        newest, token = charge.newest, last.refresh_token
        if newest is None or token is None:
            return False
        return last.generation >= newest.generation or fingerprint(self._identity.key, token) == newest.fingerprint

    async def _entry(self, charge: Charge, *, last: bool = False) -> Entry | None:
        name = charge.job.name
        if self._journal is None or not self._journal.has(name, last=last):
            return None
        text = await self._journal.read(name, await self._keys.of(charge.job.states), last=last)
        found = None if text is None else entry.read(text)
        return found if found is not None and found.job == name else None

    def _fingerprint(self, record: StateRecord) -> str:
        return "" if record.refresh_token is None else fingerprint(self._identity.key, record.refresh_token)
