"""What a person may have the running daemon do.

Rules of this module:
- Each deed is told of as `asked`, with who asked, whether it was done or declined.
- What is asked goes the way of every rotation: the same decision, the same caps for hosts, the same check-and-set.
- Many jobs are rotated one after the other, and no more once the provider has failed a few in a row.
- In a fleet a job comes into this node's hands first; what a person decides of it counts for all nodes.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from refresher.charge import MOMENT, Charge
from refresher.control.names import PACE, Verb
from refresher.control.view import Hands, View
from refresher.core import outcome
from refresher.core.errors import ElsewhereError
from refresher.core.events import Event, Field
from refresher.core.model import Rejected, Token
from refresher.core.orders import BY_HAND
from refresher.core.outcome import Outcome
from refresher.core.perishable import Perishable
from refresher.core.published import stamp
from refresher.handback import Handback
from refresher.host.sockets import Caller
from refresher.ports import Calendar, Clock, Sink
from refresher.roster import Roster
from refresher.standing import row_of, state_of
from refresher.walks import each

MOST_FAILED: Final = 3  # in a row
Judge: TypeAlias = Callable[[], Token | Rejected]
Say: TypeAlias = Callable[[Outcome], None]


class Desk(View):
    """Asks a roster, on behalf of a caller."""

    def __init__(  # noqa: PLR0913  # the ports that it needs
        self,
        roster: Roster,
        *,
        handback: Handback,
        clock: Clock,
        sink: Sink,
        holder: str,
        calendar: Calendar | None = None,
        logins: Mapping[str, Perishable] | None = None,
        hands: Hands | None = None,
    ) -> None:
        super().__init__(roster, clock=clock, holder=holder, calendar=calendar, logins=logins, hands=hands)
        self._handback = handback
        self._sink = sink
        self._ended: dict[str, asyncio.Event] = {}
        roster.heard = self._hear

    async def once(self, names: Collection[str], caller: Caller, say: Say, *, force: bool) -> None:
        """Walk each job, and say how it ended: what is not due is fresh, or held back as it was."""

        async def walk(name: str) -> None:
            if force:
                say(await self._asked("once", name, caller))
            else:
                say(await self._held(name, lambda: self._walked(name, force=False)))

        await each(names, walk)

    async def rotate(self, names: Collection[str], caller: Caller, say: Say) -> None:
        """Rotate one job after the other, and say how each ended; the rest is left when too many in a row failed."""
        failed, last = 0, 0.0
        for name in names:
            await self._clock.sleep(timedelta(seconds=last - self._clock.monotonic()))
            last = self._clock.monotonic() + PACE.total_seconds()
            one = await self._asked("rotate", name, caller)
            say(one)
            failed = 0 if one.well else failed + (one.outcome != "halted")
            if failed == MOST_FAILED:
                return

    async def pause(self, name: str, until: datetime, caller: Caller) -> dict[str, object]:
        """Have a job wait; return how it stands then."""
        return await self._ordered("pause", name, caller, paused_until=until)

    async def resume(self, name: str, caller: Caller) -> dict[str, object]:
        """Have a job go on that was paused, or handed back; return how it stands then."""
        return await self._ordered("resume", name, caller, paused_until=None, released=False)

    async def release(self, name: str, caller: Caller) -> Outcome:
        """Hand the paths of a job back: first it is left alone, then the mark goes."""
        await self._ordered("release", name, caller, released=True)

        async def unmark() -> Outcome:
            await self._idle(name)
            await self._roster.alone(name, self._handback.of)
            return self._last(name)

        return await self._held(name, unmark, away=True)

    async def put(self, name: str, judge: Judge, caller: Caller) -> Outcome:
        """Write a token that a person brought, as if the provider had issued it now; a latch stays shut."""
        return await self._held(name, lambda: self._put(name, judge, caller), away=True)

    async def _put(self, name: str, judge: Judge, caller: Caller) -> Outcome:
        await self._idle(name)
        charge = self._roster.charges[name]
        if charge.held is None:
            await self._roster.look(name)
        state, token = state_of(charge, self._clock.now(), self._holder), judge()
        why = "busy" if charge.pending else state if state in ("unmanaged", "unknown") else ""
        if isinstance(token, Rejected):
            why = token.error
        if why or isinstance(token, Rejected):
            self._tell("put", name, caller, error=why)
            return self._declined(charge, why)
        self._tell("put", name, caller)
        charge.unwritten, charge.tried = replace(token, flags=(*token.flags, BY_HAND)), ""
        return await self._walked(name, force=False)

    async def _asked(self, verb: Verb, name: str, caller: Caller) -> Outcome:
        """Rotate a job by force, where its cooldown is over."""
        return await self._held(name, lambda: self._by_force(verb, name, caller))

    async def _held(self, name: str, deed: Callable[[], Awaitable[Outcome]], *, away: bool = False) -> Outcome:
        """Do something with a job that is in this node's hands, known as it stands now.

        `away`: even while PostgreSQL is, and nobody knows who has it.
        """
        if self._hands is None:
            return await deed()
        try:
            async with self._hands.hold(name) as may:
                if not may and not away:
                    return self._declined(self._roster.charges[name], "scheduler_away")
                if not self._roster.is_busy(name):
                    self._roster.renew(name)
                    await self._roster.look(name)
                return await deed()
        except ElsewhereError as error:
            return replace(self._declined(self._roster.charges[name], "elsewhere"), node=str(error))

    async def _by_force(self, verb: Verb, name: str, caller: Caller) -> Outcome:
        charge, now = self._roster.charges[name], self._clock.now()
        if (state := state_of(charge, now, self._holder)) in ("paused", "unmanaged"):
            why = "released" if charge.orders.released else state
            self._tell(verb, name, caller, error=why)
            return self._declined(charge, why)
        if (until := charge.orders.cools_until(now)) is not None:
            self._tell(verb, name, caller, error="cooldown", until=stamp(until))
            return self._declined(charge, "cooldown", retry_after=math.ceil((until - now).total_seconds()))
        self._tell(verb, name, caller)
        before = charge.orders
        self._roster.order(name, replace(before, asked_at=now))
        if charge.trouble is not None and charge.trouble.retry_after is None:
            charge.retry_now()
        ended = await self._walked(name, force=True)
        # Nobody was asked, or what was issued waits for Vault.
        if ended.outcome in ("halted", "store_failed") and name in self._roster.charges:
            self._roster.order(name, replace(self._roster.charges[name].orders, asked_at=before.asked_at))
        return ended

    async def _walked(self, name: str, *, force: bool) -> Outcome:
        """Have a job walked, and return how that ended; one that is being rotated already is not rotated again."""
        asked = self._clock.now() - MOMENT  # a walk's end is noted no finer
        charge = self._roster.charges[name]
        while self._roster.is_busy(name):
            await self._end_of(name)
            charge = self._roster.charges.get(name, charge)
            if charge.last is not None and charge.last.outcome == "rotated" and (charge.last_at or asked) > asked:
                return charge.last
        if name in self._roster.charges:
            self._roster.begin(name, force=force)
        if self._roster.is_busy(name):
            await self._end_of(name)
        charge = self._roster.charges.get(name, charge)
        if charge.last is not None and charge.last_at and charge.last_at >= asked:
            return charge.last
        if name not in self._roster.charges or charge.job.moved_from in self._roster.charges:
            return self._declined(charge, "reloaded")
        return self._declined(charge, "stopping" if self._hands is None or self._hands.there else "scheduler_away")

    async def _idle(self, name: str) -> None:
        while self._roster.is_busy(name):
            await self._end_of(name)

    async def _end_of(self, name: str) -> None:
        await self._ended.setdefault(name, asyncio.Event()).wait()

    def _hear(self, name: str) -> None:
        if (event := self._ended.pop(name, None)) is not None:
            event.set()

    def _last(self, name: str) -> Outcome:
        charge = self._roster.charges[name]
        return charge.last or self._declined(charge, "unknown")

    async def _ordered(
        self, verb: Verb, name: str, caller: Caller, **orders: datetime | bool | None
    ) -> dict[str, object]:
        if self._hands is not None:
            await self._hands.know(name)
        until = orders.get("paused_until")
        self._tell(verb, name, caller, **({"until": stamp(until)} if isinstance(until, datetime) else {}))
        charge = self._roster.charges[name]
        self._roster.order(name, replace(charge.orders, **orders))  # type: ignore[arg-type]  # each by its name
        told = self._hands is None or await self._hands.tell(name, due=verb == "resume")
        return row_of(charge, self._clock.now(), self._holder) | {"told": told}

    def _declined(self, charge: Charge, why: str, *, retry_after: int | None = None) -> Outcome:
        ended = outcome.declined(charge.job, why, charge.versions)
        return replace(ended, expires_at=charge.expires_at, retry_after=retry_after)

    def _tell(self, verb: Verb, name: str, caller: Caller, **more: Field) -> None:
        fields: Mapping[str, Field] = {"verb": verb, "uid": caller.uid, "pid": caller.pid, **more}
        self._sink.tell(Event(name="asked", job=name, fields=fields))
