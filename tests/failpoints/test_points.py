"""Each step of the daemon, ended, broken or stalled: it heals, loses nothing that is journalled, and says the rest."""

import asyncio
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.failpoints.deeds import find
from tests.failpoints.lives import Life, Yard, side_by_side, yard
from tests.failpoints.points import POINTS

HEALED_S = 10
LOADED_S = 45  # the same among other tests, which may have all of the machine
TTL_S = 6  # of a token: due again after some three and a half
REACHED_S = 60
AT_ONCE = 24
FEWER_AT_ONCE = 16  # so that none of them waits for the others to have the processors
ANSWERED = ("request.sent", "headers.after", "body.after")  # the token endpoint may have answered, nobody has read it
BUGS = ("bug", "memory", "recursion", "exit")


def test_each_point_is_a_function():
    for point in POINTS.values():
        assert callable(getattr(*find(point)))


@pytest.mark.e2e
async def test_each_point_is_reached_in_a_normal_life(openbao, tmp_path):
    async with yard(tmp_path, openbao, ttl=TTL_S) as place:
        daemon = place.daemon()
        life = await daemon.start("trace")
        for _ in range(2):
            done = await life.event("rotated", within=REACHED_S, after=time.monotonic())
            assert done is not None
        life.send(signal.SIGHUP)
        assert await life.event("reloaded", within=REACHED_S)
        while not {"bell.after", "vault_renew.after"} <= {one["point"] for one in life.events("failpoint")}:
            assert not life.ended.done()
            await asyncio.sleep(0.1)
        assert await life.end(signal.SIGTERM) == 0
        assert {one["point"] for one in life.events("failpoint")} == set(POINTS)
        assert await daemon.wrongs() == []
    assert len(POINTS) >= 25


@dataclass
class Told:
    """What came of one deed at one point."""

    what: str
    wrongs: list[str]
    healed_s: float = 0
    unknown: int = 0
    recovered: int = 0


async def survives(place: Yard, name: str, deed: str, nth: int, rest: float, within: float) -> Told:
    """Have `deed` done at the point, start the daemon again if that ended it, and see that it heals."""
    daemon = place.daemon()
    point, told = POINTS[name], Told(f"{name} {deed} {nth}", [])
    life = await daemon.start(name, deed, str(nth))
    if point.part in ("reload", "end"):
        await life.event("rotated", within=REACHED_S)
        await asyncio.sleep(rest)
        life.send(signal.SIGHUP if point.part == "reload" else signal.SIGTERM)
    done = await life.event("failpoint", within=REACHED_S)
    if done is None:
        return Told(told.what, ["it was never reached"])
    if deed == "stall":
        await asyncio.sleep(5)
    began = time.monotonic()
    if deed == "kill" or point.part == "end":
        await asyncio.wait_for(life.ended, REACHED_S)
    healed = await recovery(life, began, within)
    if healed is None and life.ended.done():
        if deed != "kill" and point.part not in ("start", "end"):
            told.wrongs.append(f"the daemon ended with {life.ended.result()}")
        began = time.monotonic()
        life = await daemon.start()
        healed = await life.event("rotated", within=within)
    if healed is None:
        told.wrongs.append(f"not healed within {within} s")
        await life.event("rotated", within=REACHED_S)
    else:
        told.healed_s = healed["seen"] - began
    code = await life.end(signal.SIGTERM)
    unknown = daemon.events("grant_unknown")
    told.unknown, told.recovered = len(unknown), sum(one["reason"] == "unwritten" for one in daemon.events("rotated"))
    if code != 0:
        told.wrongs.append(f"exit code {code}")
    if deed == "kill" and point.unknown is not None and bool(unknown) != point.unknown:
        told.wrongs.append("grant_unknown was not told" if point.unknown else "grant_unknown was told")
    told.wrongs += await daemon.wrongs(lost=lost_full_grants(name, deed, nth))
    return told


async def recovery(life: Life, began: float, within: float) -> dict[str, Any] | None:
    """Return the first rotation after `began`; what a daemon that has ended did to its last is none."""
    return None if life.ended.done() else await life.event("rotated", within=within, after=began)


def lost_full_grants(name: str, deed: str, nth: int) -> int:
    """Return how many answers to the first grant, a password's, nobody reads: after a kill, that is told as unknown."""
    return int(nth == 1 and deed not in ("kill", "stall") and name in ANSWERED)


@pytest.mark.e2e
@pytest.mark.fault("F1", "F2", "F3", "F4", "F61")
@pytest.mark.parametrize(
    ("times", "within", "at_once"),
    [
        pytest.param(1, LOADED_S, AT_ONCE, marks=pytest.mark.timeout(600)),
        pytest.param(20, HEALED_S, FEWER_AT_ONCE, marks=[pytest.mark.nightly, pytest.mark.timeout(7200)]),
    ],
)
async def test_each_point_survives_each_deed(openbao, tmp_path, measured, times, within, at_once):
    chance = random.Random(4)  # noqa: S311  # the same story each time
    began = time.monotonic()
    async with yard(tmp_path, openbao, ttl=TTL_S) as place:
        deeds = []
        for turn in range(times):
            for number, (name, point) in enumerate(POINTS.items()):
                for deed in ("kill", "oserror", BUGS[(number + turn) % len(BUGS)], "stall"):
                    nth = point.nth if turn == 0 or point.part != "walk" or point.nth == 1 else chance.randint(1, 3)
                    rest = chance.uniform(0, 3) if turn else 0
                    deeds.append(partial(survives, place, name, deed, nth, rest, within))
        told = await side_by_side(deeds, at_once=at_once)
    counts = Counter(one.what.split()[1] for one in told)
    wrong = [one for one in told if one.wrongs]
    slowest = max(told, key=lambda one: one.healed_s)
    measured(
        f"{len(POINTS)} points, {dict(counts)}, {place.nursery.started} starts in {time.monotonic() - began:.0f} s: "
        f"{sum(one.unknown for one in told)} grants unknown, {sum(one.recovered for one in told)} answers recovered, "
        f"slowest to heal {slowest.healed_s:.1f} s ({slowest.what}), {len(wrong)} wrong"
    )
    assert not wrong, "\n" + "\n".join(f"{one.what}: {'; '.join(one.wrongs)}" for one in wrong)


STORM = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def ends_in_order(place: Yard, name: str) -> Told:
    """Have fifty signals come while the daemon stands at the point, and see that it finishes what it has begun."""
    daemon, told = place.daemon(), Told(f"{name} signals", [])
    life = await daemon.start(name, "stall", "2")
    if await life.event("failpoint", within=REACHED_S) is None:
        return Told(told.what, ["it was never reached"])
    began = time.monotonic()
    for number in range(50):
        life.send(STORM[number % len(STORM)])
        await asyncio.sleep(0.01)
    code = await asyncio.wait_for(life.ended, REACHED_S)
    told.healed_s = time.monotonic() - began
    told.wrongs += [f"exit code {code}"] if code else []
    told.wrongs += ["a defect"] if life.events("unexpected", "ended by a defect", "failing") else []
    told.wrongs += [] if len(daemon.events("grant_unknown")) == 0 else ["grant_unknown was told"]
    told.wrongs += await daemon.wrongs()
    return told


@pytest.mark.e2e
@pytest.mark.fault("F5", "F6")
@pytest.mark.timeout(300)
async def test_fifty_signals_at_each_step_of_a_rotation(openbao, tmp_path, measured):
    names = [name for name, point in POINTS.items() if point.part == "walk" and point.nth == 2]
    async with yard(tmp_path, openbao, ttl=TTL_S) as place:
        told = await side_by_side([partial(ends_in_order, place, name) for name in names], at_once=AT_ONCE)
    wrong = [one for one in told if one.wrongs]
    slowest = max(one.healed_s for one in told)
    measured(
        f"{len(names)} steps of 5 s each: the slowest end {slowest:.1f} s after the first signal, {len(wrong)} wrong"
    )
    assert not wrong, "\n" + "\n".join(f"{one.what}: {'; '.join(one.wrongs)}" for one in wrong)
