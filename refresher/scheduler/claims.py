"""Which jobs this node has in hand, and which it may walk on its own while PostgreSQL is away.

Rules of this module:
- It knows no database: the engine brings claims and takes them back; the roster walks what is called.
- A job that is in another node's hands is none of our business: no sweep of ours starts its walk.
- Only delays cross it, each counted from when it is said.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from refresher.ports import Clock
from refresher.scheduler.apscheduler import Bell

HELPING: Final = 100
AGAIN: Final = timedelta(seconds=1)  # what was not walked is soon looked at again, here or elsewhere
HALTED: Final = timedelta(seconds=60)  # a latched job is looked at so often: its credential may have changed
IDLE_S: Final = 2.0  # a job in hand that nobody walks for so long is given back


@dataclass(slots=True)
class Claim:
    """One job in hand. `called`: the roster has heard of it. `over`: in how long it is to be looked at again."""

    alive: Callable[[], bool]
    over: "asyncio.Future[timedelta]"
    since: float
    called: bool = False
    pins: int = 0  # a person's deeds that want it in hand
    next: timedelta | None = None  # when it is to be looked at again, once they do not any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What the engine must know of the roster: all are about a job's name.

    `knows`: it is configured here. `busy`: it is queued or walked. `walks`: it is walked. `harmless`: two walks of it
    at once spend nothing that can't be had again.
    """

    knows: Callable[[str], bool]
    busy: Callable[[str], bool]
    walks: Callable[[str], bool]
    harmless: Callable[[str], bool]


@dataclass(slots=True)
class Wishes:
    """What the table should be told: `urgent` jobs are wanted now."""

    urgent: set[str] = field(default_factory=set)
    told: asyncio.Event = field(default_factory=asyncio.Event)


class Claims:
    """ports.Scheduler for one node of a fleet. Use within a running loop; `close()` ends it."""

    shared = True

    def __init__(self, clock: Clock, questions: Questions) -> None:
        self.questions = questions
        self.wishes = Wishes()
        self.alone = False  # PostgreSQL is away, and has been for a while
        self._clock = clock
        self._claims: dict[str, Claim] = {}
        self._lost: set[str] = set()  # were in our hands when PostgreSQL went away
        self._last: dict[str, float] = {}  # jobs that we walked last, to our knowledge: when they are due
        self._own: set[str] = set()  # begun while alone
        self._ready: deque[str] = deque()
        self._rung = asyncio.Event()
        self._bell = Bell(clock)

    def schedule(self, name: str, delay: timedelta) -> None:
        """Have `name` looked at again after `delay`: by whichever node, where it is in our hands."""
        claim = self._claims.get(name)
        if claim is not None and not claim.called:
            return  # a sweep, by what was known before: the walk to come knows better
        if claim is not None or name in self._own or name in self._lost:
            self._last[name] = self._clock.monotonic() + max(delay.total_seconds(), 0.0)
            self._end(name, delay)
        if self.alone and name in self._last and name not in self._own:
            self._ring_alone(name)

    def cancel(self, name: str) -> None:
        """Let nobody walk `name` for now: it is halted, or gone."""
        if (claim := self._claims.get(name)) is None or claim.called:
            self._end(name, HALTED)
            self._last.pop(name, None)
            self._bell.cancel(name)

    def ours(self, name: str, *, urgent: bool = False) -> bool:
        """Whether `name` is ours to walk now; else, where it is `urgent`, the table is told so."""
        claim = self._claims.get(name)
        if (claim is not None and claim.called) or name in self._own:
            return True
        if urgent and claim is None:
            self.wishes.urgent.add(name)
            self.wishes.told.set()
        return False

    def may_ask(self, name: str) -> bool:
        """Whether a request for `name` may be sent now: nobody else can have taken it over meanwhile."""
        claim = self._claims.get(name)
        return self.questions.harmless(name) or (claim.alive() if claim is not None else name not in self._lost)

    async def due(self) -> tuple[str, ...]:
        """Wait until a job is ours and return up to a helping of names."""
        while not self._ready:
            self._rung.clear()
            await self._rung.wait()
        names: list[str] = []
        while self._ready and len(names) < HELPING:
            name = self._ready.popleft()
            if (claim := self._claims.get(name)) is not None:
                claim.called, claim.since = True, self._clock.monotonic()
            if claim is not None or name in self._own:
                names.append(name)
        return tuple(names) or await self.due()

    def close(self) -> None:
        """Give everything back, and stop."""
        self.lose(lost=False)
        self._bell.close()

    def take(self, name: str, alive: Callable[[], bool], *, called: bool = False) -> "asyncio.Future[timedelta]":
        """Have `name` in hand and call the roster; return what tells when it is given back, and for how long.

        `called`: whoever has it taken sees to it, and the roster need not be called.
        """
        over: asyncio.Future[timedelta] = asyncio.get_running_loop().create_future()
        self._end(name, AGAIN)
        self._claims[name] = Claim(alive, over, self._clock.monotonic(), called)
        self._last[name] = self._clock.monotonic()
        self._lost.discard(name)
        if not called:
            self._ready.append(name)
            self._rung.set()
        return over

    def has(self, name: str) -> bool:
        """Whether `name` is in hand."""
        return name in self._claims

    @contextmanager
    def pinned(self, name: str) -> Iterator[None]:
        """Keep `name` in hand while the block lasts, and until its walk has ended; it may be lost all the same."""
        claim = self._claims[name]
        claim.called, claim.pins = True, claim.pins + 1
        try:
            yield
        finally:
            claim.pins = max(claim.pins - 1, 0)
            if not claim.pins and self._claims.get(name) is claim and not self.questions.busy(name):
                self._end(name, claim.next or AGAIN)

    def lose(self, *, lost: bool = True) -> None:
        """Give every job back at once. `lost`: since PostgreSQL is away, and others may have them by now."""
        for name, claim in tuple(self._claims.items()):
            pinned, claim.pins = claim.pins > 0, 0
            self._end(name, AGAIN)
            if lost and (pinned or self.questions.busy(name)):
                self._lost.add(name)

    def withdraw(self, *, all_but_walking: bool = False) -> None:
        """Give back what nobody here is about to walk: Vault is away for it, or we are about to leave."""
        latest = self._clock.monotonic() - IDLE_S
        for name, claim in tuple(self._claims.items()):
            walks = self.questions.walks(name) if all_but_walking else self.questions.busy(name)
            if not walks and not claim.pins and (all_but_walking or (claim.called and claim.since < latest)):
                self._end(name, AGAIN if all_but_walking else 5 * AGAIN)
            elif walks:
                claim.since = self._clock.monotonic()

    @property
    def in_hand(self) -> int:
        """How many jobs are in hand."""
        return len(self._claims)

    def go_alone(self) -> tuple[int, int]:
        """PostgreSQL is away: go on with what is harmless. Return how many jobs that is, and how many must wait."""
        self.alone = True
        mine = [name for name in self._last if self.questions.knows(name)]
        harmless = [name for name in mine if self.questions.harmless(name)]
        for name in harmless:
            self._ring_alone(name)
        return len(harmless), len(mine) - len(harmless)

    def come_back(self) -> None:
        """PostgreSQL is back: the table rules again. What is under way comes to its end."""
        self.alone = False
        for name in self._last:
            self._bell.cancel(name)

    async def listen_alone(self) -> None:
        """For ever, take in hand what rings while PostgreSQL is away."""
        while True:
            for name in await self._bell.due():
                if self.alone and self.questions.knows(name) and self.questions.harmless(name):
                    self._own.add(name)
                    self._ready.append(name)
                    self._rung.set()

    def _ring_alone(self, name: str) -> None:
        if self.questions.harmless(name):
            self._bell.schedule(name, timedelta(seconds=max(self._last[name] - self._clock.monotonic(), 0.0)))

    def _end(self, name: str, delay: timedelta) -> None:
        if (claim := self._claims.get(name)) is not None and claim.pins > 0:
            claim.next = delay
            return
        self._own.discard(name)
        self._lost.discard(name)
        claim = self._claims.pop(name, None)
        if claim is not None and not claim.over.done():
            claim.over.set_result(delay)
