"""The slow rounds: a sweep that re-decides every job, and a drift check that re-reads every path.

Rules of this module:
- Both run on the monotonic clock, not on the bell: a lost bell costs one sweep and never a token.
- The sweep looks at memory alone and lets go of the loop after each helping. What it doubts is looked at beside it:
  thousands of looks would make it late, and a late sweep is taken for a standstill.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from refresher.charge import Charge
from refresher.core import policy
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.published import stamp
from refresher.ports import Clock, Sink
from refresher.roster import Roster

SWEEP: Final = timedelta(seconds=25)  # what a leap of the clock makes due has then begun within 30 s, all of it
LEAP: Final = timedelta(seconds=5)
HELPING: Final = 200
GRACE: Final = timedelta(seconds=10)  # a rotation that is a little late is no news
NAMED: Final = 10  # names in one line
LEVELS: Final[dict[EventName, Level]] = {"expiring": "warning", "expired": "error"}


class Watch:
    """Watches over a roster until cancelled."""

    def __init__(self, roster: Roster, *, clock: Clock, sink: Sink, holder: str) -> None:
        self._roster = roster
        self._clock = clock
        self._sink = sink
        self._holder = holder
        self.swept_at = clock.monotonic()  # when the sweep last went round
        self.doubts = False  # other machines renew tokens too: what is remembered may be long past
        self._doubted: dict[str, datetime] = {}
        self._stale: set[str] = set()  # doubted, and not looked at yet
        self._found_stale = asyncio.Event()

    async def sweep(self) -> None:
        """Every 25 s put each job where it belongs, say which tokens readers are losing, and notice clock leaps."""
        wall, steady = self._clock.now(), self._clock.monotonic()
        while True:
            await self._clock.sleep(SWEEP)
            now, ticks = self._clock.now(), self._clock.monotonic()
            leap = (now - wall) - timedelta(seconds=ticks - steady)
            wall, steady = now, ticks
            if abs(leap) >= LEAP:
                skew: dict[str, Field] = {"leap_s": round(leap.total_seconds(), 1)}
                self._sink.tell(Event(name="clock_skew", level="warning", fields=skew))
            away: dict[EventName, list[str]] = {}
            for count, charge in enumerate(tuple(self._roster.charges.values()), start=1):
                self._tend(charge, away)
                if count % HELPING == 0:
                    await asyncio.sleep(0)
            for name, names in away.items():
                fields: dict[str, Field] = {"error": "store_away", "jobs": len(names), "names": tuple(names[:NAMED])}
                self._sink.tell(Event(name=name, level=LEVELS[name], fields=fields))
            self.swept_at = self._clock.monotonic()
            if self._stale:
                self._found_stale.set()

    async def catch_up(self) -> None:
        """Look at each job of which the sweep doubts what is remembered."""
        while True:
            await self._found_stale.wait()
            self._found_stale.clear()
            stale = sorted(self._stale)
            try:
                await self._roster.look_all(stale)
            finally:
                self._stale.difference_update(stale)  # a bug in a look must not put the warnings off for ever

    def _tend(self, charge: Charge, away: dict[EventName, list[str]]) -> None:
        try:
            if self._roster.rests(charge):
                return
        except BaseException:  # noqa: BLE001, S110  # a bug: `settle` meets it again, as the trouble of this job alone
            pass
        if charge.latch is not None:
            self._roster.offer(charge.job.name)  # the walk opens the latch if the credential has changed
        else:
            self._roster.settle(charge.job.name)
        self._warn(charge, away)

    async def drift(self, every: timedelta) -> None:
        """Re-read every path once in `every`, spread evenly: foreign changes and deletions are found."""
        while True:
            names = tuple(self._roster.charges)
            for name in names:
                await self._clock.sleep(every / len(names))
                await self._roster.look(name)
            if not names:
                await self._clock.sleep(every)

    def _warn(self, charge: Charge, away: dict[EventName, list[str]]) -> None:
        """Tell once that readers hold less life than promised, and once that they hold a dead token.

        While Vault is away this happens to all jobs alike: their names go to `away`, to be told in one line. While
        another daemon may be renewing it, what we remember is not what readers hold: the look at the lease's end is.
        """
        expires_at = charge.expires_at
        held = next((one for one in charge.held or () if one is not None and one.expires_at == expires_at), None)
        if held is None or expires_at is None or charge.warned == "expired" or charge.orders.released:
            return
        now, lifetime = charge.now(self._clock), held.lifetime
        if lifetime is not None and (expires_at - now) * 4 > lifetime:
            return  # no promise is for more than a quarter of it
        promise = policy.promised(held, charge.job)
        if charge.leased_until is not None and now < charge.leased_until:
            return
        name: EventName = "expired" if now >= expires_at else "expiring"
        soon = promise is not None and expires_at - now < promise - GRACE and charge.warned != "expiring"
        if name == "expiring" and not soon:
            return
        if self.doubts and self._doubted.get(charge.job.name) != expires_at:
            self._doubted[charge.job.name] = expires_at
            self._stale.add(charge.job.name)
        if charge.job.name in self._stale:  # told of in the first round after the look
            return
        charge.warned = name
        if self._roster.is_away(charge):
            away.setdefault(name, []).append(charge.job.name)
            return
        fields: dict[str, Field] = {"expires_at": stamp(expires_at)}
        if name == "expiring":
            fields["left_s"] = round((expires_at - now).total_seconds())
        if charge.holding is not None:
            fields["error"] = charge.holding.error
        self._sink.tell(Event(name=name, level=LEVELS[name], job=charge.job.name, fields=fields))
