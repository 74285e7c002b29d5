"""Whatever becomes of some jobs, the others do what they would have done without them, request by request."""

import asyncio
import errno
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refresher.core import policy
from refresher.core.model import HttpResponse, Reference
from refresher.host.clock import SystemClock
from refresher.scheduler.apscheduler import Bell
from refresher.sinks import Fanout
from tests.fakes.http import answer, lost
from tests.fakes.provider import FakeProvider
from tests.rotation.house import MINUTE, House, job, many, refreshing
from tests.rotation.stage import SlowStore

SPAN = 35 * MINUTE
GOOD = tuple(f"good-{number:02}" for number in range(12))
BAD = tuple(f"bad-{number}" for number in range(4))


class PanicError(BaseException):
    """As libraries in Rust raise: no Exception."""


BASES = (SystemExit, KeyboardInterrupt, asyncio.CancelledError, PanicError)
ERRORS = (*BASES, RuntimeError, MemoryError, RecursionError, OSError, TimeoutError, StopIteration, UnicodeDecodeError)
DEEDS = ("send", "resolve", "read", "write", "prove", "reserve", "enter", "keep", "release", "decide")
REPLIES = (
    answer(200, b"[" * 100_000),
    answer(200, b"<html>Sign in to the guests' network</html>"),
    answer(200, {"access_token": "A", "expires_in": 2**31 - 1, "refresh_token": "R" * 65_536}),
    answer(200, {"access_token": "\ud800", "expires_in": "9" * 300}),
    answer(418, b"\xff\xfe\x00"),
    HttpResponse(status=200, headers=(("content-encoding", "gzip"),), body=b"\x1f\x8b\x08" + b"\0" * 100),
    HttpResponse(status=302, headers=(("location", "https://elsewhere.example"),), body=b""),
    lost(),
)


@dataclass
class Troubles:
    """What is wrong with each bad job: `bugs` by job and deed, `replies` by job, hosts that hang."""

    bugs: dict[tuple[str, str], type[BaseException]] = field(default_factory=dict)
    replies: dict[str, object] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)

    def meet(self, deed: str, name: str) -> None:
        if (error := self.bugs.get((name, deed))) is not None:
            raise error("utf-8", b"", 0, 1, "no text") if error is UnicodeDecodeError else error


def poisoned(house: House, troubles: Troubles) -> House:
    """Have every port of `house` fail as `troubles` say."""
    house.references.texts |= {f"env:{name}": "client-secret" for name in house.jobs}
    house.provider.refreshes = True
    house.provider.hanging = {f"{name}.example.com" for name in troubles.hanging}
    house.store.before = lambda deed, place: troubles.meet(deed, place.path.rpartition("/")[2])
    send, resolve = house.provider.send, house.references.resolve

    async def poisoned_send(request):
        name = house.provider._read(request).client
        troubles.meet("send", name)
        reply = troubles.replies.get(name)
        if isinstance(reply, Exception):
            raise reply
        return reply or await send(request)

    async def poisoned_resolve(wanted):
        for reference in wanted.values():
            troubles.meet("resolve", reference.target)
        return await resolve(wanted)

    def poisoned_entry(deed):
        method = getattr(house.journal, deed)

        async def of_job(name, *args):
            troubles.meet(deed, name)
            return await method(name, *args)

        return of_job

    house.provider.send, house.references.resolve = poisoned_send, poisoned_resolve
    for deed in ("reserve", "enter", "keep", "release"):
        setattr(house.journal, deed, poisoned_entry(deed))
    return house


@contextmanager
def failing_decisions(troubles: Troubles):
    decide = policy.decide

    def poisoned_decide(facts):
        troubles.meet("decide", facts.job.name)
        return decide(facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "decide", poisoned_decide)
        yield


def a_job_of(number: int, name: str):
    host = f"h{number % 7}" if name in GOOD else name
    return (refreshing if number % 3 == 0 else job)(name, host, client_secret=Reference(kind="env", target=name))


class Full:
    """A sink on a disk that is full."""

    def tell(self, _event):
        raise OSError(errno.ENOSPC, "No space left on device")


async def story(troubles: Troubles, *, full: bool = False):
    """Let half an hour pass, two lives of a token and more; return what the good ones asked for and when; the house."""
    house = poisoned(House(*(a_job_of(*one) for one in enumerate(GOOD + BAD)), lifetime=900), troubles)
    memory = house.sink
    house.sink = Fanout(Full(), memory) if full else memory
    with failing_decisions(troubles):
        async with house.serving():
            await house.clock.advance(SPAN)
            assert not house.serve.done(), "the daemon is alive"
    house.sink = memory
    return {name: [(one.at, one.grant) for one in house.provider.requests(name)] for name in GOOD}, house


ALONE: dict[str, list[tuple[object, ...]]] = {}  # what the good ones ask for where nothing is wrong
BUGS = st.dictionaries(st.tuples(st.sampled_from(BAD), st.sampled_from(DEEDS)), st.sampled_from(ERRORS), max_size=8)


@pytest.mark.fault("F61", "F55")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    bugs=BUGS,
    replies=st.dictionaries(st.sampled_from(BAD), st.sampled_from(REPLIES)),
    hanging=st.sets(st.sampled_from(BAD)),
    full=st.booleans(),
)
async def test_the_others_ask_when_they_would_have_asked(bugs, replies, hanging, full):
    if not ALONE:
        ALONE.update((await story(Troubles()))[0])
    asked, house = await story(Troubles(bugs, replies, hanging), full=full)
    assert asked == ALONE
    assert all(house.token(name) for name in GOOD)
    told = {one.job for one in house.sink.events if one.level in ("warning", "error")}
    assert told <= {name for name, _ in bugs} | replies.keys() | hanging


@pytest.mark.fault("F61")
@pytest.mark.parametrize("error", ERRORS)
async def test_a_bug_of_any_kind_is_told_once_backs_off_and_is_over_when_it_is_mended(error):
    """One irreplaceable job for each port that fails."""
    deeds = [deed for deed in DEEDS if deed != "release"]  # without a refusal none of them gives its slot up
    made = {deed: refreshing(deed, deed, client_secret=Reference(kind="env", target=deed)) for deed in deeds}
    troubles = Troubles({(deed, deed): error for deed in deeds})
    house = poisoned(House(*made.values(), lifetime=900), troubles)
    with failing_decisions(troubles):
        async with house.serving():
            await house.clock.advance(8 * MINUTE)
            assert not house.serve.done(), "the daemon is alive"
            loud = Counter(one.job for one in house.sink.named("failing") if one.level == "error")
            quiet = Counter(one.job for one in house.sink.named("failing") if one.level == "debug")
            assert loud == dict.fromkeys(deeds, 1)
            assert max(quiet.values()) <= 30, "each sweep decides anew; nothing runs in circles"
            troubles.bugs.clear()
            await house.clock.advance(6 * MINUTE)
            assert {name: house.state(name) for name in made} == dict.fromkeys(made, "fresh")
            house.check()
    assert not house.provider.replayed


class TimedBell(Bell):
    """The real bell; it remembers until when each job was to wait."""

    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.clock, self.due_at = clock, {}

    def schedule(self, name, delay):
        self.due_at[name] = self.clock.monotonic() + delay.total_seconds()
        super().schedule(name, delay)


@pytest.mark.nightly
@pytest.mark.timeout(300)
@pytest.mark.fault("F62")
async def test_ten_thousand_jobs_of_which_one_gets_costly_replies(measured):
    """On the real clock and the real bell: the others are asked for when they are due."""
    short = [f"short-{number:03}" for number in range(300)]
    house = House(*many(9699), *(job(name, "b") for name in short), job("bad", "c"))
    house.clock = clock = SystemClock()
    house.store, house.provider, house.scheduler = SlowStore(clock), FakeProvider(clock), TimedBell(clock)
    house.store.after, house.stores, house.http = house._note, {"": house.store}, house.provider
    house.provider.lifetimes = dict.fromkeys(short, 24)
    everybody, late, costly = asyncio.Event(), [], HttpResponse(status=200, body=b"a=" + b"%41" * 340_000)

    def refuse(asked):
        due = house.scheduler.due_at.pop(asked.client, None)
        if due is not None and asked.client in house.provider.lifetimes:
            late.append(max(clock.monotonic() - due, 0))
        if len(house.provider.clients) == len(house.jobs):  # of the requests, several may have come since the last look
            everybody.set()
        return costly if asked.client == "bad" else None

    house.provider.refuse = refuse
    roster = house.build()
    async with asyncio.TaskGroup() as group:
        group.create_task(roster.serve(house.stop, house.ready.set))
        await everybody.wait()
        late.clear()
        for _ in range(8):
            await asyncio.sleep(5)
            roster.offer("bad", force=True)
        house.stop.set()
    house.scheduler.close()
    late.sort()
    p99 = late[len(late) * 99 // 100]
    measured(f"10,000 jobs, {house.asked('bad')} costly replies: 99 % of {len(late)} late by at most {p99:.2f} s")
    assert len(late) >= 300
    assert p99 <= 1
    assert house.expired_seconds == 0
