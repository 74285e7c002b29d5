"""Each outward call of a daemon's life fails in its turn, whatever it raises: no crash, no stuck job, nothing lost.

As SQLite does it: the k-th call fails, for k = 1, 2, ... until a life has no failure. Once, or from then on for a
while; before the deed, or after it was done; and in the life that follows a kill.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial
from itertools import count

import pytest

from refresher.core.errors import StoreAmbiguousError, StoreUnavailableError, TransportError, UnreadableReferenceError
from tests.fakes.ledger import FakeLedger
from tests.fakes.mortal import Life, Mortal
from tests.fakes.provider import Asked
from tests.rotation.house import MINUTE, House, job, refreshing, state_of

IRREPLACEABLE, PLAIN = "semansys", "smart"
LIFETIME = 900
WHILE = timedelta(seconds=70)
ERRORS = (  # None: what the port may raise
    None,
    OSError(5, "a fault"),
    ZeroDivisionError("a fault"),
    MemoryError(),
    RecursionError(),
    SystemExit("a fault"),
)
MOST = 400  # calls in a life, by far


class Fault:
    """The `nth` call fails by `error` (None: as its port may), and all others within `lasts` of it.

    `late`: the deed is done before that.
    """

    def __init__(self, house: House, nth: int, error: BaseException | None, *, lasts: timedelta, late: bool) -> None:
        self.clock, self.left, self.error, self.lasts, self.late = house.clock, nth, error, lasts, late
        self.ends: float | None = None
        self.struck: list[str] = []
        self.unanswered: list[Asked] = []  # requests whose answer was lost

    def strikes(self, call: str) -> bool:
        self.left -= 1
        if self.left == 0:
            self.ends = self.clock.monotonic() + self.lasts.total_seconds()
        struck = self.left == 0 or (self.ends is not None and self.clock.monotonic() < self.ends)
        self.struck += [call] if struck else []
        return struck

    def raised(self, port: str) -> BaseException:
        if self.error is not None:
            return type(self.error)(*self.error.args)
        match port:
            case "http":
                return TransportError("transport", "connection lost", sent=self.late)
            case "references":
                return UnreadableReferenceError("env:A", "it cannot be read")
            case "store" if self.late:
                return StoreAmbiguousError("deadline", "no whole reply")
            case "store":
                return StoreUnavailableError("transport", "no connection", status=0)
            case _:
                return OSError(5, "a fault")


class Faulty:
    """A port whose calls may fail."""

    def __init__(self, name: str, port: object, fault: Fault) -> None:
        self._name, self._port, self._fault = name, port, fault

    def __getattr__(self, name: str):
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return self._slow(name, found) if inspect.iscoroutinefunction(found) else self._quick(name, found)

    def _slow(self, name, deed):
        async def around(*words, **more):
            strikes = self._fault.strikes(f"{self._name}.{name}")
            if strikes and not self._fault.late:
                raise self._fault.raised(self._name)
            asked = len(self._port.asked) if self._name == "http" else 0
            done = await deed(*words, **more)
            if strikes:
                if self._name == "http":
                    self._fault.unanswered.append(self._port.asked[asked])
                raise self._fault.raised(self._name)
            return done

        return around

    def _quick(self, name, deed):
        def around(*words, **more):
            strikes = self._fault.strikes(f"{self._name}.{name}")
            if strikes and not self._fault.late:
                raise self._fault.raised(self._name)
            done = deed(*words, **more)
            if strikes:
                raise self._fault.raised(self._name)
            return done

        return around


def new_house() -> House:
    house = House(refreshing(IRREPLACEABLE), job(PLAIN), lifetime=LIFETIME)
    house.provider.refreshes = True
    house.ledger = FakeLedger()
    return house


def put_in(house: House, fault: Fault) -> None:
    """Let every port of the house but the clock and the sink fail."""
    house.stores = {"": Faulty("store", house.store, fault)}
    house.http, house.references = Faulty("http", house.http, fault), Faulty("references", house.references, fault)
    house.journal, house.ledger = Faulty("journal", house.journal, fault), Faulty("ledger", house.ledger, fault)
    house.scheduler = Faulty("scheduler", house.scheduler, fault)


async def live(house: House, fault: Fault, *, before: House | None = None) -> list[str]:
    """Live through the fault and some while after it, end in order, and return which calls failed."""
    journal, ledger = house.journal, house.ledger
    put_in(house, fault)
    async with house.serving():
        await house.clock.advance(20 * MINUTE)
        while fault.ends is not None and house.clock.monotonic() < fault.ends + 15 * 60:
            await house.clock.advance(MINUTE)
        house.scheduler = house.scheduler._port
        house.check()
        for name in (IRREPLACEABLE, PLAIN):
            assert house.state(name) == "fresh", (name, house.roster.charges[name].trouble)
            assert house.provider.issued[house.token(name)] > house.clock.now()
    client = house.provider.clients[IRREPLACEABLE]
    record = house.store.stands(state_of(IRREPLACEABLE))
    events = [*(before.sink.events if before else ()), *house.sink.events]
    unknown = len([one for one in events if one.name == "grant_unknown"])
    full = [one for one in house.provider.requests(IRREPLACEABLE) if one.grant == "password"]
    full = [one for one in full if one not in fault.unanswered]  # a password is not spent: it is simply sent again
    assert house.provider.replayed == []
    assert (record["refresh_token"], record["phase"]) == (client.valid, "idle")
    assert not client.revoked
    assert len(full) <= 1 + unknown, f"{len(full)} full grants, {unknown} told of as unknown"
    assert journal.next == {}
    assert ledger.jobs.keys() == {IRREPLACEABLE, PLAIN}
    return fault.struck


async def killed(steps: int) -> House | None:
    """Return a house that was killed so many outward steps after its first rotation; None: that took fewer steps."""
    house = new_house()
    journal, ledger = house.journal, house.ledger
    life = Life(lambda: house.tasks)
    house.stores, house.http = {"": Mortal(house.store, life)}, Mortal(house.provider, life)
    house.journal, house.ledger = Mortal(journal, life), Mortal(ledger, life)
    async with house.serving():
        await house.clock.advance(MINUTE)
        before = len(house.provider.asked)
        life.left = steps
        while not life.dead and len(house.provider.asked) < before + 3:
            await house.clock.advance(MINUTE)
    journal.released()
    if not life.dead:
        return None
    heir = house.heir()
    heir.stores, heir.http, heir.journal, heir.ledger = {"": house.store}, house.provider, journal, ledger
    heir.sink.events[:0] = house.sink.events
    return heir


Case = tuple[BaseException | None, timedelta, bool]


def each_call(case_of: Callable[[int], Case], house_of: Callable[[], Awaitable[House]], calls: Iterable[int]) -> int:
    """Have the k-th call fail by `case_of(k)`, for each k of `calls`, until a life has no failure; count the others."""
    for lives, k in enumerate(calls):
        error, lasts, late = case_of(k)

        async def one(k: int = k, case: Case = (error, lasts, late)) -> list[str]:
            house = await house_of()
            return await live(house, Fault(house, k, case[0], lasts=case[1], late=case[2]))

        try:
            struck = asyncio.run(one())
        except BaseException as failure:
            failure.add_note(f"call number {k}: {error!r}, for {lasts}, {'late' if late else 'early'}")
            raise
        if not struck:
            return lives
        assert k < MOST
    raise AssertionError


async def _fresh() -> House:
    return new_house()


@pytest.mark.fault("F61")
def test_every_call_fails_in_a_life(measured):
    """By another error each time, once or for a while, before the deed or after it was done."""
    lives = each_call(
        lambda k: (ERRORS[k // 4 % len(ERRORS)], WHILE if k & 1 else timedelta(), bool(k & 2)), _fresh, count(1)
    )
    measured(f"{lives} lives, in each of which another call failed")
    assert lives > 40


@pytest.mark.fault("F61")
@pytest.mark.parametrize("stride", [97, pytest.param(1, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])])
def test_every_call_fails_in_the_life_after_a_kill(stride, measured):
    """However far a walk had come when the process was killed."""
    lives, steps = 0, 1
    while asyncio.run(killed(steps)) is not None:
        lives += each_call(
            lambda k, steps=steps: (ERRORS[(k + steps) % len(ERRORS)], WHILE if k & 1 else timedelta(), bool(k & 2)),
            partial(killed, steps),
            count(1 + 7 * steps % stride, stride),
        )
        steps += 1
    measured(f"{steps - 1} kills, {lives} lives after them, in each of which another call failed")
    assert steps > 20


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.fault("F61")
@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
@pytest.mark.parametrize("lasts", [timedelta(), WHILE], ids=["once", "for a while"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_call_fails_in_every_way(error, lasts, late):
    assert each_call(lambda _: (error, lasts, late), _fresh, count(1)) > 40
