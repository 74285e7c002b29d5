"""The way of one token, in this order: look, decide, prove, exchange, judge, keep, write, tell.

Rules of this module:
- It works against ports alone; what to do is decided in `core/`, what a reply means in `providers/`.
- A walk is never cancelled once its request is sent: whoever runs it awaits it.
- What was issued and is not yet written stays in the charge (`unwritten`); the next walk goes on from there.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import replace

from refresher.charge import Charge, Identity
from refresher.core import due, outcome, policy, published
from refresher.core.errors import (
    StoreConflictError,
    StoreError,
    StoreUnavailableError,
    UnreadableReferenceError,
)
from refresher.core.fingerprint import fingerprint
from refresher.core.model import Found, Rejected, Token
from refresher.core.outcome import Outcome
from refresher.core.policy import Held
from refresher.endings import Endings, Walk
from refresher.exchange import Exchange
from refresher.ports import Clock, Http, References, SecretStore, Sink


class Rotation:
    """Walks one job at a time; the caller sees to it that no job is walked twice at once."""

    def __init__(  # noqa: PLR0913  # the ports of the design
        self,
        *,
        http: Http,
        stores: Mapping[str, SecretStore],
        references: References,
        clock: Clock,
        sink: Sink,
        identity: Identity,
    ) -> None:
        self._exchange = Exchange(http=http, stores=stores, references=references, clock=clock, identity=identity)
        self._endings = Endings(clock=clock, sink=sink, identity=identity)
        self._stores = stores
        self._clock = clock
        self._identity = identity

    async def rotate(self, charge: Charge, *, force: bool = False) -> Outcome:
        """Walk `charge` once and return how it ended; an exception is a bug of ours."""
        charge.attempts += 1
        walk = Walk(began=self._clock.monotonic())
        return await self._ending(charge, walk, self._walk(charge, walk, force=force))

    async def look(self, charge: Charge) -> Outcome:
        """Only look: `fresh` tells nothing but that Vault was read; the caller decides on what was seen."""
        walk = Walk(began=self._clock.monotonic())
        return await self._ending(charge, walk, self._observe(charge, walk))

    async def _ending(self, charge: Charge, walk: Walk, way: Awaitable[Outcome]) -> Outcome:
        try:
            ended = await way
        except (UnreadableReferenceError, StoreError) as error:
            ended = self._endings.store_failed(charge, walk, error)
        charge.last, charge.last_at = ended, self._clock.now()
        return ended

    async def _observe(self, charge: Charge, walk: Walk) -> Outcome:
        before = charge.versions
        await self._look(charge)
        if charge.trouble is not None and charge.trouble.kind == "store":
            charge.trouble = None
        if charge.known_ours and before:
            changed = zip(charge.job.destinations, before, charge.versions, charge.held or (), strict=True)
            strange = ((place, held) for place, old, new, held in changed if held and not held.ours and old != new)
            self._endings.tell(tuple(outcome.foreign_change(charge.job.name, place, held) for place, held in strange))
        verdict = policy.decide(charge.facts(self._clock.now(), self._identity.holder))
        if isinstance(verdict, policy.Halt):
            return self._endings.halted(charge, walk, verdict.reason)
        return self._endings.end(charge, walk, "fresh", verdict.reason)

    async def _look(self, charge: Charge) -> None:
        """Read what stands at the destinations, and the state record where the job has one. Raises StoreError."""
        job = charge.job
        secrets = [await self._stores[place.cluster].read(place) for place in job.destinations]
        charge.held = tuple(published.held_in(secret, job, self._identity.instance) for secret in secrets)
        charge.versions = tuple(secret.version for secret in secrets)
        charge.known_ours |= any(one is not None and one.ours for one in charge.held)
        first = secrets[0]
        if isinstance(first, Found) and "access_token" in first.data:
            charge.seen = fingerprint(self._identity.key, first.data["access_token"])
        if job.refreshes or job.grant == "refresh_token":
            charge.record = published.record_of(await self._stores[job.state.cluster].read(job.state))

    async def _walk(self, charge: Charge, walk: Walk, *, force: bool) -> Outcome:
        job = charge.job
        if charge.held is None or (job.irreplaceable and not charge.pending):
            await self._look(charge)
        walk.before = charge.versions
        latched = charge.trouble is not None and charge.trouble.kind == "permanent" and charge.trouble.credential
        if latched and latched != await self._exchange.credential(job):
            charge.trouble, charge.refused = None, ""  # somebody mended it: the latch opens at once
        await self._keep(charge)
        if charge.unwritten is not None and self._stale(charge.unwritten, charge):
            charge.unwritten = None
        if charge.unwritten is None:
            match policy.decide(charge.facts(self._clock.now(), self._identity.holder, force=force)):
                case policy.Wait(reason=reason):
                    return self._endings.end(charge, walk, "fresh", reason)
                case policy.Halt(reason=reason):
                    return self._endings.halted(charge, walk, reason)
                case policy.Rotate(reason=reason):
                    walk.reason = "config_changed" if charge.changed else reason
            asked = await self._exchange.ask(charge)
            walk.grant = asked.grant
            if isinstance(asked.verdict, Rejected):
                charge.unkept = asked.verdict.refresh_token
                ended = self._endings.rejected(charge, walk, asked, asked.verdict)
                await self._keep(charge)
                return ended
            charge.unwritten, charge.unkept = asked.verdict.token, asked.verdict.token.refresh_token
            await self._keep(charge)
        return await self._write(charge, walk, charge.unwritten)

    async def _keep(self, charge: Charge) -> None:
        """Write a new refresh token to the state record, before anything else happens to the answer."""
        if charge.unkept is None:
            return
        job, store = charge.job, self._stores[charge.job.state.cluster]
        record = charge.record or published.record_of(await store.read(job.state))
        for _ in range(2):
            new = replace(record, refresh_token=charge.unkept, generation=record.generation + 1)
            data = published.record_data(new, job, self._identity.instance, self._clock.now())
            try:
                written = await store.write(job.state, data, cas=record.version)
            except StoreConflictError:  # the answer in hand is the newest: only the record's version was not known
                record = published.record_of(await store.read(job.state))
                continue
            charge.record, charge.unkept = replace(new, version=written.version or 0), None
            return
        raise StoreUnavailableError("conflict", f"{job.state}: somebody else keeps writing the state record")

    async def _write(self, charge: Charge, walk: Walk, token: Token) -> Outcome:
        """Write every destination by check-and-set, then tell."""
        job, expires_at = charge.job, published.expiry(token, charge.job)
        data = published.data_of(token, job, self._identity.instance)
        held, versions = list(charge.held or ()), list(charge.versions)
        for index, place in enumerate(job.destinations):
            try:
                written = await self._stores[place.cluster].write(place, data, cas=versions[index])
            except StoreConflictError:
                return await self._overtaken(charge, walk, token, index)
            ends = expires_at
            if written.deletion_time is not None and (ends is None or written.deletion_time < ends):
                ends = written.deletion_time  # Vault deletes it before it dies: renew before that
                self._endings.tell((outcome.deleted_early(job.name, place, ends),))
            issued_at = token.issued_at.replace(microsecond=0)
            held[index] = Held(version=written.version, issued_at=issued_at, expires_at=ends)
            versions[index] = written.version
            charge.held, charge.versions = tuple(held), tuple(versions)
        seen = fingerprint(self._identity.key, token.access_token)
        charge.unchanged, charge.seen = seen == charge.seen, seen
        charge.fetched_at, charge.known_ours, charge.unwritten = token.issued_at, True, None
        charge.changed, charge.warned = False, ""
        trouble, charge.trouble = charge.trouble, None
        ended = self._endings.end(charge, walk, "rotated", walk.reason or "unwritten")
        details = self._endings.details(charge, walk) | {"version": charge.versions[0], "fingerprint": seen}
        if expires_at is not None:
            details["lifetime_s"] = round((expires_at - token.issued_at.replace(microsecond=0)).total_seconds())
        self._endings.tell(outcome.tell_rotated(ended, trouble, details))
        return ended

    async def _overtaken(self, charge: Charge, walk: Walk, token: Token, index: int) -> Outcome:
        """Somebody wrote in between. Ours and newer: done. A stranger's: named and honoured. Else: write again."""
        await self._look(charge)
        place, now = charge.job.destinations[index], (charge.held or ())[index]
        if now is not None and not now.ours:
            charge.unwritten = None
            self._endings.tell((outcome.foreign_change(charge.job.name, place, now),))
            return self._endings.end(charge, walk, "fresh", "foreign")
        newer = (
            now is not None and now.issued_at is not None and now.issued_at >= token.issued_at.replace(microsecond=0)
        )
        if newer:
            charge.unwritten, charge.trouble = None, None
            return self._endings.end(charge, walk, "fresh", "written_by_another")
        raise StoreUnavailableError("cas", f"{place}: the version changed in between; writing again")

    def _stale(self, token: Token, charge: Charge) -> bool:
        """Whether an answer that waited for Vault is due for renewal already."""
        expires_at = published.expiry(token, charge.job)
        if expires_at is None:
            return False
        lead = due.lead(expires_at - token.issued_at, charge.job.renew_before, part=0)
        return self._clock.now() >= expires_at - lead
