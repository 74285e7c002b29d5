"""The way of one token, in this order: look, decide, prove, exchange, judge, keep, try, write, tell.

Rules of this module:
- It works against ports alone; what to do is decided in `core/`, what a reply means in `providers/`.
- A walk is never cancelled once its request is sent: whoever runs it awaits it.
- What was issued and is not yet written stays in the charge (`unwritten`); the next walk goes on from there.
- A stranger's secret on a path of ours is told of by the look that finds it, and honoured until it ends.
"""

from collections.abc import Awaitable, Mapping
from datetime import timedelta

from refresher.behind import Behind
from refresher.charge import NOWHERE, Charge, Identity
from refresher.core import policy, published
from refresher.core.errors import StoreConflictError, StoreError, StoreUnavailableError, UnreadableReferenceError
from refresher.core.events import Field
from refresher.core.fingerprint import fingerprint
from refresher.core.model import Rejected, Token
from refresher.core.orders import BY_HAND
from refresher.core.outcome import Outcome
from refresher.decided import Decided, is_dead
from refresher.delivery import Delivered, Delivery
from refresher.endings import Endings, Walk, close
from refresher.endpoint import Endpoint
from refresher.exchange import Asked, Exchange
from refresher.gate import Gate, decided
from refresher.keeping import Keeping
from refresher.look import Look
from refresher.moving import Moving
from refresher.ports import Calendar, Clock, Journal, References, SecretStore, Sink
from refresher.shadow import Shadow
from refresher.verify import Verifier


class Rotation:
    """Walks one job at a time; the caller sees to it that no job is walked twice at once."""

    def __init__(  # noqa: PLR0913  # the ports of the design
        self,
        *,
        endpoint: Endpoint,
        verifier: Verifier,
        stores: Mapping[str, SecretStore],
        references: References,
        clock: Clock,
        sink: Sink,
        identity: Identity,
        calendar: Calendar | None = None,
        journal: Journal | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._keeping = keeping = Keeping(stores=stores, journal=journal, clock=clock, sink=sink, identity=identity)
        self._exchange = Exchange(
            endpoint=endpoint, keeping=keeping, stores=stores, references=references, clock=clock, identity=identity
        )
        self._verifier = verifier
        self.decided = Decided(identity.seed)
        self._endings = Endings(clock=clock, sink=sink, identity=identity, decided=self.decided)
        behind = Behind(clock=clock, sink=sink, identity=identity)
        self._look = look = Look(
            stores=stores, clock=clock, sink=sink, identity=identity, calendar=calendar, behind=behind
        )
        self._delivery = Delivery(stores=stores, look=look, behind=behind, sink=sink, identity=identity)
        self._moving = Moving(
            look=look,
            keeping=keeping,
            stores=stores,
            journal=journal,
            clock=clock,
            identity=identity,
            save=lambda former: self._saved(former, Walk(began=clock.monotonic())),
        )
        self._shadow = Shadow(stores=stores, clock=clock, sink=sink, identity=identity)
        self._clock = clock
        self._identity = identity
        self._gate = gate

    async def rotate(self, charge: Charge, *, force: bool = False) -> Outcome:
        """Walk `charge` once and return how it ended; an exception is a bug of ours."""
        charge.attempts += 1
        walk = Walk(began=self._clock.monotonic())
        return await self._ending(charge, walk, self._walk(charge, walk, force=force))

    async def look(self, charge: Charge) -> Outcome:
        """Only look: `fresh` tells nothing but that Vault was read; the caller decides on what was seen."""
        walk = Walk(began=self._clock.monotonic())
        return await self._ending(charge, walk, self._observe(charge, walk))

    async def save(self, charge: Charge) -> Outcome:
        """Only write what was issued and is not in Vault yet: nothing is asked of the provider."""
        walk = Walk(began=self._clock.monotonic())
        return await self._ending(charge, walk, self._save(charge, walk))

    async def prove(self, charge: Charge) -> None:
        """Show that Vault takes what a walk of `charge` would bring. Raises StoreError."""
        await self._exchange.prove(charge)

    def away(self, charge: Charge, error: str) -> Outcome:
        """End a walk that is not begun, since Vault is known to be away by the code `error`."""
        walk = Walk(began=self._clock.monotonic())
        ended = self._endings.store_failed(charge, walk, StoreUnavailableError(error, "Vault is away"))
        return close(charge, ended, self._clock)

    async def _ending(self, charge: Charge, walk: Walk, way: Awaitable[Outcome]) -> Outcome:
        charge.away = NOWHERE
        try:
            ended = await way
        except (UnreadableReferenceError, StoreError) as error:
            ended = self._endings.store_failed(charge, walk, error)
            if not charge.pending:  # a file of the request could not be read: nothing was sent
                await self._keeping.withdraw(charge, unknown=False)
        except BaseException:
            if not charge.pending:  # nobody knows what came of it: the next look finds the intent, and says so
                charge.intent = None
            raise
        await self._keeping.close(charge)
        await self._shadow.compare(charge)
        return close(charge, ended, self._clock)

    async def _observe(self, charge: Charge, walk: Walk) -> Outcome:
        await self._moving.look_at(charge)
        return self._endings.unrotated(charge, walk, self._decide(charge))

    async def _save(self, charge: Charge, walk: Walk) -> Outcome:
        """End as the walk before did where nothing that lives was left to write: readers are served as they were."""
        return await self._saved(charge, walk) or charge.last or self._endings.end(charge, walk, "fresh", "saved")

    def _decide(self, charge: Charge, *, force: bool = False) -> policy.Verdict:
        return self.decided.decide(charge, charge.now(self._clock), force=force)

    async def _walk(self, charge: Charge, walk: Walk, *, force: bool) -> Outcome:
        if charge.owed is not None and is_dead(charge, charge.owed, charge.now(self._clock)):
            charge.owed = None
        unread = bool(charge.behind) and charge.owed is None
        if charge.held is None or unread or (charge.job.irreplaceable and not charge.pending):
            await self._moving.look_at(charge)
        if (saved := await self._saved(charge, walk)) is not None:
            return saved
        await self._exchange.open_latch(charge)
        verdict = await decided(self._gate, charge, lambda: self._decide(charge, force=force), force=force)
        if not isinstance(verdict, policy.Rotate):
            return self._endings.unrotated(charge, walk, verdict)
        if verdict.reason == "behind":
            return await self._catch_up(charge, walk)
        walk.reason = "config_changed" if charge.changed else verdict.reason
        try:
            asked = await self._exchange.ask(charge)
        except StoreConflictError:  # another daemon spends the grant, or has just done so
            await self._moving.look_at(charge)
            verdict = self._decide(charge)
            if isinstance(verdict, policy.Rotate):
                raise
            return self._endings.unrotated(charge, walk, verdict)
        walk.grant, walk.client_secret = asked.grant, asked.client_secret
        if isinstance(asked.verdict, Rejected):
            ended = self._endings.rejected(charge, walk, asked, asked.verdict)
            if charge.unkept is None:
                await self._keeping.withdraw(charge, unknown=asked.unknown)
            await self._keeping.note(charge)
            await self._keep(charge, walk)
            return ended
        charge.unwritten, charge.changed, charge.tried = asked.verdict.token, False, ""
        charge.reckon(self._clock)
        await self._keeping.note(charge)
        await self._keep(charge, walk)
        return await self._write(charge, walk, asked.verdict.token)

    async def _saved(self, charge: Charge, walk: Walk) -> Outcome | None:
        """Keep and write what an earlier walk could not; None when nothing that lives is in hand."""
        if charge.held is None:
            await (self._moving.look_at(charge) if charge.unmoved else self._look.at(charge))
        walk.before = charge.versions
        await self._keep(charge, walk)
        token = charge.unwritten
        if token is None:
            return None
        if self.decided.is_useless(charge, token, charge.now(self._clock)):
            charge.unwritten = None
            return None
        return await self._write(charge, walk, token)

    async def _keep(self, charge: Charge, walk: Walk) -> None:
        """Write a new refresh token to the state record, before anything else happens to the answer.

        One that no grant of the job uses keeps no access token from its readers: its failure is only noted.
        """
        try:
            await self._keeping.record(charge)
        except StoreError as error:
            if charge.job.irreplaceable:
                raise
            walk.unkept = error.code

    async def _write(self, charge: Charge, walk: Walk, token: Token) -> Outcome:
        """Try the token, where the job has that done; write every destination, again where others were faster; tell."""
        if (refusal := await self._verifier.refusal(charge, token.access_token)) is not None:
            charge.unwritten, grant = None, walk.grant or charge.job.grant
            asked = Asked(grant=grant, verdict=refusal, why=f"{refusal.error}: {refusal.why}")
            return self._endings.rejected(charge, walk, asked, refusal)
        forced = walk.reason == "forced" or BY_HAND in token.flags
        done = await self._delivery.deliver(charge, token, charge.job.destinations, forced=forced)
        charge.unwritten, charge.owed = None, token if charge.behind else None
        if done.had("written"):
            return self._written(charge, walk, token, done)
        return self._overtaken(charge, walk, done)

    async def _catch_up(self, charge: Charge, walk: Walk) -> Outcome:
        """Bring the token that others have to the destinations that lack it, and ask nobody for another."""
        token, walk.before = charge.owed, charge.versions
        if token is None:  # an earlier process had it: they are seen again, and get the next one
            return self._endings.end(charge, walk, "fresh", "behind")
        done = await self._delivery.deliver(charge, token, tuple(charge.behind))
        charge.owed = token if charge.behind else None
        if not done.had("written"):
            return self._endings.end(charge, walk, "fresh", "behind")
        ended = self._endings.end(charge, walk, "rotated", "behind")
        self._endings.tell_written(charge, walk, ended, places=done.places)
        return ended

    def _written(self, charge: Charge, walk: Walk, token: Token, done: Delivered) -> Outcome:
        seen = fingerprint(self._identity.key, token.access_token)
        charge.unchanged, charge.seen = bool(walk.reason) and seen == charge.seen, seen
        charge.fetched_at, charge.warned = token.issued_at, ""
        charge.hint = None if token.refresh_in is None else token.issued_at + timedelta(seconds=token.refresh_in)
        self._look.note_calendar(charge)
        by_hand = BY_HAND in token.flags
        before = charge.relieve(by_hand=by_hand)
        ended = self._endings.end(charge, walk, "rotated", "put" if by_hand else walk.reason or "unwritten")
        details: dict[str, Field] = {"fingerprint": seen}
        if (expires_at := published.expiry(token, charge.job)) is not None:
            details["lifetime_s"] = round((expires_at - token.issued_at.replace(microsecond=0)).total_seconds())
        if walk.unkept:
            details["unkept"] = walk.unkept
        if charge.tried:
            details["verified"] = charge.tried == "taken"
        self._endings.tell_written(charge, walk, ended, places=done.places, before=before, more=details)
        return ended

    def _overtaken(self, charge: Charge, walk: Walk, done: Delivered) -> Outcome:
        """Somebody wrote in between, wherever it was to be written. A stranger: honoured. Ours and newer: done."""
        charge.owed = None
        if done.had("newer"):
            charge.latch = charge.trouble = None
            return self._endings.end(charge, walk, "fresh", "written_by_another")
        verdict = self._decide(charge)
        if isinstance(verdict, policy.Halt):
            return self._endings.unrotated(charge, walk, verdict)
        return self._endings.end(charge, walk, "fresh", "foreign")
