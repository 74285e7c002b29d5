"""Rounds that go on for ever: one that raises what it should not is told of, and begins again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from refresher.core.backoff import backoff
from refresher.core.outcome import tell_broken
from refresher.ports import Clock, Sink

LONGEST: Final = timedelta(seconds=30)  # before it begins again
WELL: Final = 60.0  # seconds without an exception, after which the next one is news again
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
