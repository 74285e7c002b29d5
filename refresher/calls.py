"""How hooks are put together: those that are told afterwards, and those that are asked before."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from refresher.core.settings import Settings
from refresher.gate import Gate
from refresher.ports import Clock, Http, LocalSecrets, Programs
from refresher.sinks import Fanout
from refresher.sinks.hooks import Hooks
from refresher.sinks.posting import Posting


class House(Protocol):
    """What of the daemon's parts hooks look at."""

    settings: Settings
    sink: Fanout

    @property
    def clock(self) -> Clock:
        """The one reader of time."""

    @property
    def programs(self) -> Programs:
        """What runs programs."""


class Calls:
    """The hooks of a house. `http` is a wire of their own, `directory` that of the state."""

    def __init__(self, house: House, *, http: Http, local: LocalSecrets, directory: Path) -> None:
        self._house = house
        instance, clock, sink, programs = house.settings.instance, house.clock, house.sink, house.programs
        self.posting = Posting(http, local)
        self.gate = Gate(
            known=lambda: house.settings.hooks,
            instance=instance,
            programs=programs,
            local=local,
            clock=clock,
            sink=sink,
        )
        self._hooks = Hooks(
            jobs=lambda: house.settings.jobs,
            instance=instance,
            directory=directory,
            posting=self.posting,
            programs=programs,
            clock=clock,
            sink=sink,
        )
        sink.add(self._hooks)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many events no hook was told of that should have been."""
        return {"hook_events": self._hooks.dropped}

    @asynccontextmanager
    async def serving(self, patience: timedelta) -> AsyncIterator[None]:
        """Call hooks while the block lasts; what is left then has so much time."""
        async with self._hooks.serving(self._house.settings.hooks, patience):
            yield

    def update(self) -> None:
        """Take over the hooks of new settings."""
        self._hooks.update(self._house.settings.hooks)
