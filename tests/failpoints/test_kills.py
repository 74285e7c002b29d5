"""Single-use refresh tokens rotated under random SIGKILLs: none is sent twice, and none is lost in silence."""

import asyncio
import random
import signal
import time
from functools import partial

import pytest

from tests.failpoints.lives import Daemon, Yard, side_by_side, yard

TTL_S = 6  # of a token: due again after some three and a half
DELAY_S = 0.15  # of an answer: a kill often comes before it
REACHED_S = 60
DAEMONS = 24  # side by side


async def live_and_die(place: Yard, rotations: int, chance: random.Random) -> tuple[Daemon, list[str]]:
    """Kill a daemon again and again: at any time, or right after it has asked for a token; then let it heal."""
    daemon = place.daemon()
    while place.provider.granted < rotations:
        daemon.account.came.clear()
        life = await daemon.start()
        if chance.random() < 0.4:
            await asyncio.wait_for(daemon.account.came.wait(), REACHED_S)
            await asyncio.sleep(chance.uniform(0, 2 * DELAY_S))
        else:
            await asyncio.sleep(chance.uniform(0, 2 * TTL_S))
        await life.end(signal.SIGKILL)
    life = await daemon.start()
    healed = await life.event("rotated", within=REACHED_S)
    wrongs = [] if healed else [f"not healed within {REACHED_S} s"]
    if (code := await life.end(signal.SIGTERM)) != 0:
        wrongs.append(f"exit code {code}")
    return daemon, wrongs + await daemon.wrongs()


@pytest.mark.e2e
@pytest.mark.fault("F1", "F2", "F3", "F4", "F48")
@pytest.mark.parametrize(
    "rotations",
    [
        pytest.param(100, marks=pytest.mark.timeout(300)),
        pytest.param(2000, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
    ],
)
async def test_killed_at_any_time(openbao, tmp_path, measured, rotations):
    """No refresh token is sent twice; each full grant but the first was told of as unknown before."""
    chance, began = random.Random(4), time.monotonic()  # noqa: S311  # one story each time
    async with yard(tmp_path, openbao, ttl=TTL_S, delay=DELAY_S) as place:
        lives = [partial(live_and_die, place, rotations, random.Random(chance.random())) for _ in range(DAEMONS)]  # noqa: S311  # as above
        told = await side_by_side(lives, at_once=DAEMONS)
    daemons = [daemon for daemon, _ in told]
    accounts = [daemon.account for daemon in daemons]
    kills = sum(len(daemon.lives) - 1 for daemon in daemons)
    unknown = sum(len(daemon.events("grant_unknown")) for daemon in daemons)
    recovered = [one for daemon in daemons for one in daemon.events("rotated") if one["reason"] == "unwritten"]
    lost = sum(one.grants["password"] - 1 for one in accounts)
    measured(
        f"{place.provider.granted} rotations, {kills} kills in {time.monotonic() - began:.0f} s: "
        f"{lost} pairs lost between request and journal, {unknown} times told of as unknown, "
        f"{len(recovered)} answers from the journal, {sum(one.reused for one in accounts)} refresh tokens sent twice"
    )
    wrong = [f"{daemon.name}: {'; '.join(wrongs)}" for daemon, wrongs in told if wrongs]
    assert not wrong, "\n" + "\n".join(wrong)
    assert kills >= rotations / 10
