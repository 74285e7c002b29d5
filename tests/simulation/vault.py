"""Vault in a simulated world: a FakeStore that keeps the newest version alone, and fails as the world has it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from refresher.core.errors import StoreAmbiguousError, StoreRefusedError, StoreUnavailableError
from tests.fakes.store import FakeStore, Shelf
from tests.simulation.faults import Faults

AWAY = {
    "down": StoreUnavailableError("transport", "connection refused"),
    "sealed": StoreUnavailableError("sealed", "Vault is sealed", status=503),
    "standby": StoreUnavailableError("standby", "there is no active node", status=500),  # reads and proofs are answered
}


class Newest:
    """A list of which the last alone is kept; its length is how many there were."""

    __slots__ = ("_count", "_last", "_time", "written")

    def __init__(self, time: Callable[[], float]) -> None:
        self._count, self._last, self._time = 0, None, time
        self.written: float | None = None

    def append(self, one) -> None:
        self._count, self._last = self._count + 1, one
        self.written = None if one is None else self._time()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):
        assert index == -1, "only the newest is kept"
        return self._last


class _Nobody:
    """Nobody looks at the calls."""

    def append(self, _call) -> None:
        pass


class SimulatedVault(FakeStore):
    """`outage`: one of AWAY while it lasts. A write takes up to 20 ms; `time` is Vault's own clock."""

    def __init__(self, faults: Faults, random: Random, time: Callable[[], float]) -> None:
        super().__init__()
        self._time = time
        self.calls = _Nobody()
        self.outage = ""
        self.failed = lambda _place: None  # is told of a single call that fails
        self._random = random.random
        self._error = faults.vault_error
        self._refuses = self._error + faults.vault_refuses
        self._ambiguous = faults.vault_ambiguous

    async def read(self, place):
        await self._arrive("read", place)
        found = await super().read(place)
        written = self._shelf(place).versions.written
        return found if written is None else replace(found, age=timedelta(seconds=self._time() - written))

    async def prove(self, place):
        await self._arrive("prove", place)
        await super().prove(place)

    async def write(self, place, data, *, cas):
        await self._arrive("write", place)
        part = self._random() / self._ambiguous if self._ambiguous else 1
        if part < 1:
            self.failed(place)
        if part < 0.5:  # the write itself is lost
            raise StoreAmbiguousError("deadline", f"write {place}: no whole reply within 5 s")
        written = await super().write(place, data, cas=cas)
        if part < 1:
            raise StoreAmbiguousError("deadline", f"write {place}: no whole reply within 5 s")
        await self._travel()
        return written

    def delete(self, place):
        self._shelf(place).versions.append(None)
        self._shelf(place).versions._count -= 1  # to delete makes no version

    async def _arrive(self, deed, place) -> None:
        if deed == "write":
            await self._travel()
        if self.outage and (deed == "write" or self.outage != "standby"):
            error = AWAY[self.outage]
            raise StoreUnavailableError(error.code, f"{deed} {place}: {error}", status=error.status)
        if self._refuses and (part := self._random()) < self._refuses:
            self.failed(place)
            if part < self._error:
                raise StoreUnavailableError("transport", f"{deed} {place}: connection reset")
            raise StoreRefusedError("denied", f"{deed} {place}: the policy denies it", status=403)

    async def _travel(self) -> None:
        await asyncio.sleep(0.01 * self._random())

    def _shelf(self, place):
        key = place.mount, place.path
        if key not in self.shelves:
            self.shelves[key] = Shelf(versions=Newest(self._time))
        return self.shelves[key]
