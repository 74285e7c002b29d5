"""Ports that tell how long the world takes: the wire, and how late the bell rings.

Rules of this module:
- They change nothing, and what is told of them can't raise into a walk.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from refresher.core.model import HttpRequest, HttpResponse
from refresher.ports import Clock, Http, Scheduler

READS: Final = frozenset({"GET", "LIST", "HEAD"})
Observe: TypeAlias = Callable[[str, float], None]
"""Is told what it was, and how many seconds it took."""


class Wire(Http, Protocol):
    """A wire that is to be closed."""

    async def aclose(self) -> None:
        """Close every connection."""


class Bell(Scheduler, Protocol):
    """A bell that is to be closed."""

    def close(self) -> None:
        """Stop its timer."""


class TimedWire:
    """ports.Http over `wire`; `observe` is told `read`, `write` or `login`, as Vault's addresses tell."""

    def __init__(self, wire: Wire, clock: Clock, observe: Observe) -> None:
        self._wire = wire
        self._clock = clock
        self._observe = observe

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` as the wire does; a request without a reply took as long as it was waited for."""
        began = self._clock.monotonic()
        try:
            return await self._wire.send(request)
        finally:
            with suppress(Exception):
                self._observe(_operation(request), self._clock.monotonic() - began)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()


class TimedBell:
    """ports.Scheduler over `bell`; `observe` is told how late each ring is heard."""

    def __init__(self, bell: Bell, clock: Clock, observe: Observe) -> None:
        self._bell = bell
        self._clock = clock
        self._observe = observe
        self._deadlines: dict[str, float] = {}

    def schedule(self, name: str, delay: timedelta) -> None:
        """Ring for `name` after `delay`; a later call replaces an earlier one."""
        self._deadlines[name] = self._clock.monotonic() + max(delay.total_seconds(), 0)
        self._bell.schedule(name, delay)

    def cancel(self, name: str) -> None:
        """Forget `name`."""
        self._deadlines.pop(name, None)
        self._bell.cancel(name)

    async def due(self) -> tuple[str, ...]:
        """Wait until something is due and return its names."""
        names = await self._bell.due()
        now = self._clock.monotonic()
        with suppress(Exception):
            for name in names:
                if (deadline := self._deadlines.pop(name, None)) is not None:
                    self._observe("wakeup", max(now - deadline, 0.0))
        return names

    def close(self) -> None:
        """Stop its timer."""
        self._bell.close()


def _operation(request: HttpRequest) -> str:
    if "/v1/auth/" in request.url:
        return "login"
    return "read" if request.method in READS else "write"
