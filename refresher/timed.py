"""Ports that tell how long the world takes: the wire, and how late the bell rings.

Rules of this module:
- They change nothing, and what is told of them can't raise into a walk.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

from refresher.core.model import HttpRequest, HttpResponse
from refresher.ports import Clock, Http, Scheduler, Sink

READS: Final = frozenset({"GET", "LIST", "HEAD"})
Timed: TypeAlias = Literal["request", "vault_login", "vault_read", "vault_write", "wakeup"]


@runtime_checkable
class Timer(Protocol):
    """Wants to know how long something took."""

    def timed(self, what: Timed, seconds: float) -> None:
        """Take note without blocking."""


class Wire(Http, Protocol):
    """A wire that is to be closed."""

    async def aclose(self) -> None:
        """Close every connection."""


class Bell(Scheduler, Protocol):
    """A bell that is to be closed."""

    def close(self) -> None:
        """Stop its timer."""


class Timing:
    """Has the world timed for the one of `sinks` that wants to know; where there is none, nothing is timed."""

    def __init__(self, sinks: Iterable[Sink], clock: Clock) -> None:
        self.timer: Timer | None = next((one for one in sinks if isinstance(one, Timer)), None)
        self._clock = clock

    def wire(self, plain: Wire, *, vault: bool = False) -> Wire:
        """Return `plain`, timed; `vault`: what is asked for is told apart."""
        return plain if self.timer is None else TimedWire(plain, self._clock, self.timer, vault=vault)

    def bell(self, plain: Bell) -> Bell:
        """Return `plain`, timed."""
        return plain if self.timer is None else TimedBell(plain, self._clock, self.timer)


class TimedWire:
    """ports.Http over `wire`."""

    def __init__(self, wire: Wire, clock: Clock, timer: Timer, *, vault: bool) -> None:
        self._wire = wire
        self._clock = clock
        self._timer = timer
        self._vault = vault

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` as the wire does; a request without a reply took as long as it was waited for."""
        began = self._clock.monotonic()
        try:
            return await self._wire.send(request)
        finally:
            with suppress(Exception):
                what = _operation(request) if self._vault else "request"
                self._timer.timed(what, self._clock.monotonic() - began)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()


class TimedBell:
    """ports.Scheduler over `bell`: how late each ring is heard."""

    def __init__(self, bell: Bell, clock: Clock, timer: Timer) -> None:
        self._bell = bell
        self._clock = clock
        self._timer = timer
        self._deadlines: dict[str, float] = {}
        self.shared = bell.shared

    def ours(self, name: str, *, urgent: bool = False) -> bool:
        """Whether a walk of `name` is ours to begin now."""
        return self._bell.ours(name, urgent=urgent)

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
                    self._timer.timed("wakeup", max(now - deadline, 0.0))
        return names

    def close(self) -> None:
        """Stop its timer."""
        self._bell.close()


def _operation(request: HttpRequest) -> Timed:
    """Return what is asked of Vault, by its address (`/v1/auth/...` is a login's) and method."""
    if "/v1/auth/" in request.url:
        return "vault_login"
    return "vault_read" if request.method in READS else "vault_write"
