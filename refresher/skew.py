"""Other people's clocks: the Date of each reply (RFC 9110 section 6.6.1) is compared with ours.

Rules of this module:
- A difference says that one of the two clocks is wrong, not which. Expiry counts from when we asked, by our clock: what
  suffers are readers, signed grants and certificates.
- Each host is told of once, and once more when it agrees with us again.
- A reply from a cache says when it was made, not what time it is: its Age gives it away, and it is not compared.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from refresher.core.events import Event, Field, Level
from refresher.core.http_date import ahead, moment
from refresher.core.model import HttpRequest, HttpResponse
from refresher.ports import Clock, Http, Sink

MOST: Final = timedelta(seconds=30)
AGAIN: Final = timedelta(seconds=15)  # a clock at the border is no news at each reply


class Skew:
    """ports.Http over another: it hands every reply on as it is."""

    def __init__(self, http: Http, *, clock: Clock, sink: Sink) -> None:
        self._http = http
        self._clock = clock
        self._sink = sink
        self._off: set[str] = set()

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request`; look at the Date of its reply."""
        sent, ticks = self._clock.now(), self._clock.monotonic()
        reply = await self._http.send(request)
        dates = [] if reply.header("age") else [moment(text) for text in reply.header("date")]
        if dates and dates[0] is not None:
            passed = timedelta(seconds=self._clock.monotonic() - ticks)
            received = max(self._clock.now(), sent + passed)
            self._compare(request.url, ahead(sent=sent, stated=dates[0], received=received))
        return reply

    def _compare(self, url: str, skew: timedelta) -> None:
        if not self._off and abs(skew) <= AGAIN:
            return
        host = urlsplit(url).netloc
        off = abs(skew) > (AGAIN if host in self._off else MOST)
        if off == (host in self._off):
            return
        (self._off.add if off else self._off.discard)(host)
        level: Level = "error" if off else "info"
        fields: dict[str, Field] = {"host": host, "skew_s": round(skew.total_seconds(), 1)}
        self._sink.tell(Event(name="clock_skew", level=level, fields=fields))
