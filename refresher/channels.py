"""The way of each request: the usual wire, or the one of its channel (own certificates, own proxy).

Rules of this module:
- Every distinct channel has one wire, made at its first use. When a file of it changes on disk it gets a new one at
  the next request: neither a restart nor a reload is needed.
- The wire that was in use ends when the last request on it has.
- Where each request has a connection of its own, those that may be repeated have a wire that keeps its for a while.
- New files that can't be used may be half of a renewal: for GRACE the wire goes on with the old ones. After that they
  are the trouble of the jobs with that channel. The usual wire, which everybody needs, goes on as it was.
"""

from datetime import timedelta
from typing import Final

from refresher import tls
from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Channel, HttpRequest, HttpResponse
from refresher.http import Wire
from refresher.ports import Clock

GRACE: Final = timedelta(seconds=30)
KEPT: Final = timedelta(seconds=4)
"""For which a connection waits for the next repeatable request: servers close one after 5 s and more."""
MOST_KEPT: Final = 32
"""Such connections that are open when another is kept; process.py reckons with them."""
USUAL: Final = Channel()
"""The system's certificates, none of our own, no proxy."""


class Channels:
    """ports.Http over one wire for each channel. Use it on one event loop and close it there.

    `usual` is meant where a request names no channel. Raises UnreadableReferenceError when one of its files can't be
    used. `deadline` and `keepalive` as in Wire.
    """

    def __init__(self, *, deadline: timedelta, keepalive: timedelta, clock: Clock, usual: Channel = USUAL) -> None:
        self._deadline = deadline
        self._keepalive = keepalive
        self._repeatable = keepalive or KEPT
        self._clock = clock
        self._usual = usual
        self._lines: dict[tuple[Channel, timedelta], _Line] = {}
        self._retired: set[_Line] = set()
        self._line(usual, keepalive)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` by its channel and return the reply whatever its status.

        Raises TransportError when there is none, and UnreadableReferenceError when a file of the channel can't be used.
        """
        keepalive = self._repeatable if request.repeatable else self._keepalive
        line = self._line(request.channel or self._usual, keepalive)
        line.busy += 1
        try:
            return await line.wire.send(request)
        finally:
            line.busy -= 1
            await self._sweep()

    async def aclose(self) -> None:
        """Close every connection."""
        for line in (*self._lines.values(), *self._retired):
            await line.wire.aclose()

    def _line(self, channel: Channel, keepalive: timedelta) -> "_Line":
        """Return the wire of `channel` as its files are now."""
        stamp, line = tls.stamp(channel), self._lines.get((channel, keepalive))
        if line is not None and line.stamp == stamp:
            line.stale_since = None
            return line
        try:
            kept = {} if keepalive == self._keepalive else {"kept": MOST_KEPT}
            wire = Wire(deadline=self._deadline, keepalive=keepalive, channel=channel, **kept)
        except UnreadableReferenceError:
            if line is None or not self._may_go_on(channel, line):
                raise
            return line
        if line is not None:
            self._retired.add(line)
        self._lines[channel, keepalive] = new = _Line(wire, stamp)
        return new

    def _may_go_on(self, channel: Channel, line: "_Line") -> bool:
        now = self._clock.monotonic()
        if line.stale_since is None:
            line.stale_since = now
        return channel == self._usual or now - line.stale_since < GRACE.total_seconds()

    async def _sweep(self) -> None:
        for line in [line for line in self._retired if not line.busy]:
            self._retired.discard(line)
            await line.wire.aclose()


class _Line:
    """A wire in use, and what its files looked like when it was made."""

    __slots__ = ("busy", "stale_since", "stamp", "wire")

    def __init__(self, wire: Wire, stamp: tls.Stamp) -> None:
        self.wire = wire
        self.stamp = stamp
        self.busy = 0
        self.stale_since: float | None = None  # since when its files are others, which can't be used
