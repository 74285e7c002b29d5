"""A dead man's switch: `heartbeat_url` is called while every job is well, and only then.

Whoever waits for the calls raises the alarm when they fail to come: when refresher, its machine or its network is gone,
too, and nobody is left to tell of it.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from refresher.calls import Calls
from refresher.charge import Charge, Identity
from refresher.core import policy
from refresher.core.events import Event, Field, Level
from refresher.core.hooks import Url
from refresher.core.model import HttpRequest
from refresher.core.settings import Settings
from refresher.core.view import GRACE
from refresher.ports import Clock
from refresher.roster import Roster
from refresher.sinks import Fanout
from refresher.sinks.posting import FailedError
from refresher.standing import state_of

HELPING: Final = 200
NAME: Final = "heartbeat_url"


class House(Protocol):
    """What of the daemon's parts it looks at."""

    settings: Settings
    sink: Fanout
    calls: Calls
    identity: Identity

    @property
    def clock(self) -> Clock:
        """The one reader of time."""


class Pulse:
    """Calls for `roster`. `standstill`: why the scheduler makes no progress, `""`: it does."""

    def __init__(self, roster: Roster, *, house: House, standstill: Callable[[], str]) -> None:
        self._roster = roster
        self._house = house
        self._posting = house.calls.posting
        self._standstill = standstill
        self._clock = house.clock
        self._sink = house.sink
        self._holder = house.identity.seed
        self._failing = False

    async def beat(self) -> None:
        """Call every `heartbeat_every`, for ever, as long as all is well; where there is no address, never."""
        while True:
            settings = self._house.settings
            if settings.heartbeat_url and await self._all_well():
                await self._call(settings.heartbeat_url)
            await self._clock.sleep(settings.heartbeat_every)

    async def _all_well(self) -> bool:
        if self._standstill():
            return False
        for count, charge in enumerate(tuple(self._roster.charges.values()), start=1):
            if not is_well(charge, self._clock.now(), self._holder) or self._roster.is_away(charge):
                return False
            if count % HELPING == 0:
                await asyncio.sleep(0)
        return True

    async def _call(self, url: Url) -> None:
        try:
            address = await self._posting.address(url)
            await self._posting.send(HttpRequest(method="GET", url=address))
        except FailedError as failed:
            level: Level = "debug" if self._failing else "warning"
            self._failing = True
            fields: dict[str, Field] = {"hook": NAME, "error": failed.error, "why": str(failed)}
            self._sink.tell(Event(name="hook_failed", level=level, fields=fields))
        else:
            if self._failing:
                self._failing = False
                self._sink.tell(Event(name="hook_failed", level="info", fields={"hook": NAME}))


def is_well(charge: Charge, now: datetime, holder: str) -> bool:
    """Whether the job is fresh, or just due, and readers find a token with the life that they were promised."""
    held = charge.held
    if held is None or None in held or state_of(charge, now, holder) not in ("fresh", "due"):
        return False
    for one in held:
        if one is not None and one.expires_at is not None:
            promise = policy.promised(one, charge.job)
            if now >= one.expires_at or (promise is not None and one.expires_at - now < promise - GRACE):
                return False
    return True
