"""What the running daemon says of its jobs, its logins, and the other nodes of its fleet."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from refresher.charge import Charge
from refresher.core.perishable import Perishable
from refresher.core.view import FleetView
from refresher.ports import Calendar, Clock
from refresher.roster import Roster
from refresher.standing import logins_of, plan_of, plan_rows, row_of

HELPING: Final = 50  # jobs that are looked at in one go
_T = TypeVar("_T")


class Hands(Protocol):
    """The way to the other nodes of a fleet."""

    def hold(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Have `name` in hand while the block lasts; whether a rotation may be asked for. Raises ElsewhereError."""

    @property
    def there(self) -> bool:
        """Whether PostgreSQL can be reached."""

    async def know(self, name: str) -> bool:
        """Hear how the fleet has `name`, as of now; whether it could be asked."""

    async def tell(self, name: str, *, due: bool = False) -> bool:
        """Tell the others what was decided of `name`, and have it come `due`; whether they can know it now."""

    def view(self) -> FleetView:
        """Return who is there, as of a few seconds ago."""


class View:
    """Looks at a roster. `holder`: what jitter is derived from."""

    def __init__(  # noqa: PLR0913  # what there is to look at
        self,
        roster: Roster,
        *,
        clock: Clock,
        holder: str,
        calendar: Calendar | None,
        logins: Mapping[str, Perishable] | None,
        hands: Hands | None,
    ) -> None:
        self._roster, self._clock, self._holder, self._calendar = roster, clock, holder, calendar
        self._logins = {} if logins is None else logins
        self._hands = hands

    async def jobs(self) -> list[dict[str, object]]:
        """Return a row for each job, as `status` shows it."""
        return await self._looked_at(lambda charge, now: row_of(charge, now, self._holder))

    def logins(self) -> list[dict[str, object]]:
        """Return the logins to Vault that somebody has to see to, as `status` shows them."""
        return logins_of(self._logins, self._clock.now())

    def fleet(self) -> list[dict[str, object]]:
        """Return how the nodes stand, as one object; none where there is one machine."""
        if self._hands is None:
            return []
        view = self._hands.view()
        return [{"alive": view.alive, "gone": view.gone, "away": view.away, "words": view.words}]

    async def plan(self, horizon: timedelta) -> list[dict[str, object]]:
        """Return when each job comes due, as `plan` prints it."""
        found = await self._looked_at(lambda charge, now: plan_of(charge, now, self._holder, self._calendar))
        return await asyncio.to_thread(plan_rows, found, self._clock.now(), horizon)

    async def _looked_at(self, shown: Callable[[Charge, datetime], _T]) -> list[_T]:
        rows = []
        for count, charge in enumerate(tuple(self._roster.charges.values()), start=1):
            rows.append(shown(charge, self._clock.now()))
            if count % HELPING == 0:
                await asyncio.sleep(0)
        return rows
