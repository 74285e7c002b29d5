"""The logins to Vault: kept alive, and what refresher logs in with is told of before it runs out."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from refresher.core import perishable
from refresher.core.errors import StoreError
from refresher.core.events import Event, Field
from refresher.core.perishable import Perishable
from refresher.core.published import stamp
from refresher.ports import Clock, Sink
from refresher.steady import Round

EVERY: Final = timedelta(minutes=5)
AGAIN: Final = timedelta(days=1)


class Store(Protocol):
    """What is asked of a cluster."""

    async def keep(self) -> None:
        """Keep the token alive, for ever."""

    async def perishable(self) -> Perishable | None:
        """Tell when what we log in with runs out."""


class Logins:
    """Watches over the logins of clusters, by name."""

    def __init__(self, stores: Mapping[str, Store], *, clock: Clock, sink: Sink) -> None:
        self._stores = stores
        self._clock = clock
        self._sink = sink
        self._told: dict[tuple[str, Perishable], datetime] = {}

    def rounds(self) -> list[Round]:
        """Return what is to be kept going."""
        return [self.watch, *(store.keep for store in self._stores.values())]

    async def watch(self) -> None:
        """Look at once and every five minutes, for ever; tell once a day, as long as it lasts."""
        while True:
            for name, store in tuple(self._stores.items()):
                try:
                    found = await store.perishable()
                except StoreError:
                    continue  # who needs the login tells of its trouble
                if found is not None:
                    self._consider(name, found)
            await self._clock.sleep(EVERY)

    def _consider(self, name: str, found: Perishable) -> None:
        now = self._clock.now()
        few = found.uses_left is not None
        told = self._told.get((name, found))
        if not (few or perishable.is_soon(found, now)) or (told is not None and now - told < AGAIN):
            return
        self._told = {key: at for key, at in self._told.items() if key[0] != name} | {(name, found): now}
        fields: dict[str, Field] = {"cluster": name or "default", "secret": found.what, "why": perishable.why(found)}
        if found.ends_at is not None:
            fields["expires_at"] = stamp(found.ends_at)
        self._sink.tell(Event(name="secret_expiring", level="warning", fields=fields))
