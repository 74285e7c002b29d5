"""What systemd is told of the daemon: that it is ready, reloads or ends, how it stands, and that it lives.

Rules of this module:
- A heartbeat is the scheduler's own progress, never a timer's: when the sweep does not go round, or due jobs are not
  taken, there is none, and systemd starts us again.
- A start may take as long as looks come to their ends; an end, as long as an answer is unwritten that can't be had
  again.
- Before the daemon is ready, and once it ends, a reload is nobody's affair: `ready` would be taken for the start's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Literal

from refresher.charge import Charge
from refresher.core.events import Event
from refresher.host.notify import Manager
from refresher.ports import Clock, Sink
from refresher.roster import Roster
from refresher.watch import Watch

BEAT: Final = timedelta(seconds=10)  # at most this apart; sooner where the watchdog is shorter
EXTENSION: Final = timedelta(seconds=60)  # six beats: none is needed twice
LATE: Final = 60.0  # seconds; more than two sweeps
HUNG: Final = 600.0  # seconds; a walk has deadlines that are much shorter
NAMED: Final = 3  # jobs in one line


class Heartbeat:
    """Beats until cancelled, for `manager`."""

    def __init__(self, roster: Roster, watch: Watch, *, manager: Manager, clock: Clock, sink: Sink) -> None:
        self._roster = roster
        self._watch = watch
        self._manager = manager
        self._clock = clock
        self._sink = sink
        self._phase: Literal["starting", "serving", "stopping"] = "starting"
        self._looked = 0
        self._stalled = self._said = ""

    def ready(self) -> None:
        """Tell that every path was looked at."""
        self._phase, self._said = "serving", self._standing()
        self._manager.ready(self._said)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that a reload begins, and that it is over, whatever came of it."""
        heard = self._phase == "serving"
        if heard:
            self._manager.reloading()
        try:
            yield
        finally:
            if heard and self._phase == "serving":
                self.ready()

    def failed(self, why: str) -> None:
        """Leave behind why there was no start."""
        self._manager.status(why)

    async def watch(self, stop: asyncio.Event) -> None:
        """Tell that the end begins, as soon as `stop` is set."""
        await stop.wait()
        self._phase = "stopping"
        self._manager.stopping()

    async def beat(self) -> None:
        """Tell what there is to tell, again and again; nothing where nobody listens."""
        watchdog = self._manager.watchdog
        every = BEAT if watchdog is None else min(BEAT, watchdog / 2)
        while self._manager.is_there:
            self._stall()
            if not self._stalled:
                self._manager.alive()
                self._go_on()
            await self._clock.sleep(every)

    def standstill(self) -> str:
        """Return why the scheduler makes no progress; `""`: it does."""
        now, (waiting, moved) = self._clock.monotonic(), self._roster.stuck_since
        if now - self._watch.swept_at > LATE:
            return f"the sweep has not gone round for {now - self._watch.swept_at:.0f} s"
        if waiting is not None and now - waiting > LATE:
            return f"due jobs are not taken for {now - waiting:.0f} s"
        if moved is not None and now - moved > HUNG:
            return f"no walk began or ended for {now - moved:.0f} s, and jobs are due"
        return ""

    def _stall(self) -> None:
        """Find out whether the scheduler makes progress, and say so once where it does not."""
        why = self.standstill()
        if why and not self._stalled:
            self._sink.tell(Event(name="stalled", level="error", fields={"why": why}))
            self._manager.status(f"stalled: {why}; no heartbeat")
        self._stalled = why

    def _go_on(self) -> None:
        charges = self._roster.charges.values()
        match self._phase:
            case "starting":
                looked = sum(1 for charge in charges if charge.last is not None)
                if looked > self._looked:
                    self._manager.extend(EXTENSION)
                self._looked = looked
                self._say(f"starting: looked at {looked} of {len(charges)} jobs")
            case "stopping":
                if unwritten := self._roster.unwritten():
                    self._manager.extend(EXTENSION)
                    self._say(f"ends once the answer for {_names(unwritten)} is written")
            case "serving":
                self._say(self._standing())

    def _say(self, status: str) -> None:
        if status != self._said:
            self._said = status
            self._manager.status(status)

    def _standing(self) -> str:
        """Return how the jobs stand, in one line: from what is in memory alone, since there may be many."""
        charges, now = self._roster.charges.values(), self._clock.now()
        words = [f"{len(charges)} job" if len(charges) == 1 else f"{len(charges)} jobs"]
        latched = [charge for charge in charges if charge.latch is not None]
        troubled = [charge for charge in charges if charge.latch is None and charge.ailing is not None]
        words += [f"{len(ones)} {what}: {_names(_why(ones))}" for ones, what in _sorts(latched, troubled) if ones]
        coming = [(at, charge.job.name) for charge in charges if (at := _renew_at(charge)) is not None and at > now]
        if coming:
            at, name = min(coming)
            words.append(f"next rotation {name} at {at:%Y-%m-%dT%H:%M:%SZ}")
        return ", ".join(words)


def _sorts(latched: list[Charge], troubled: list[Charge]) -> tuple[tuple[list[Charge], str], ...]:
    return (latched, "latched"), (troubled, "in trouble")


def _why(charges: list[Charge]) -> list[str]:
    return [f"{one.job.name} ({one.ailing.error})" for one in charges if one.ailing is not None]


def _names(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _renew_at(charge: Charge) -> datetime | None:
    return None if charge.last is None else charge.last.renew_at
