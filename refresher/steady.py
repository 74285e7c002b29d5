"""What goes on whatever is raised: rounds that begin again, and servers. A bug in one is told of."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from refresher.core.backoff import backoff
from refresher.core.events import Field
from refresher.core.outcome import tell_broken
from refresher.ports import Clock, Sink

LONGEST: Final = timedelta(seconds=30)  # before it begins again
WELL: Final = 60.0  # seconds without an exception, after which the next one is news again
CALM: Final = 3600.0  # the same for a server: who asks it comes when they like
Round: TypeAlias = Callable[[], Awaitable[None]]


async def steady(begin: Round, *, clock: Clock, sink: Sink) -> None:
    """Keep the round that `begin` makes going, until cancelled: a bug in one round must not end the others."""
    failures = 0
    while True:
        began = clock.monotonic()
        try:
            await begin()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # see above
            failures = 1 if clock.monotonic() - began > WELL else failures + 1
            sink.tell(tell_broken(error, failures))
        await clock.sleep(backoff(max(failures, 1), LONGEST, 0.5))


class Failures:
    """The bugs that a server met: each is news by itself, by where it is."""

    def __init__(self, *, clock: Clock, sink: Sink) -> None:
        self._clock = clock
        self._sink = sink
        self._known: dict[tuple[Field, Field], tuple[int, float]] = {}

    def tell(self, error: BaseException) -> None:
        """Tell of one."""
        fields, now = tell_broken(error, 1).fields, self._clock.monotonic()
        bug = (fields["type"], fields["where"])
        count, last = self._known.get(bug, (0, now))
        count = 1 if now - last > CALM else count + 1
        self._known[bug] = (count, now)
        self._sink.tell(tell_broken(error, count))
