"""A node whose wall clock is ten minutes ahead renews what is due when it is due; so does who takes over from it."""

import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.crowd import enrol
from tests.e2e.fleet import Strict, fleet_of
from tests.e2e.site import REFRESHER, Site
from tests.servers.postgres import Base

pytestmark = pytest.mark.e2e
AHEAD = 600
LIFE = 20  # so many seconds a token lives: a quarter of it is promised, a twelfth is slack, a tenth is spread
EARLIEST, LATEST = LIFE - LIFE / 4 - LIFE / 12 - LIFE / 10, LIFE - LIFE / 4 - LIFE / 12
WHOLE = 1.0  # of a second, which is what a token's end is rounded to
NAMES = [f"job-{number:02}" for number in range(16)]
LEAPING = Path(__file__).with_name("leaping.py")
# The monotonic clock is left as it is: a machine whose wall clock is wrong has a right one.
FAKETIME = (
    "env",
    "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1",  # ld.so(8) knows what $LIB is
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    f"FAKETIME=+{AHEAD}s",
)


@pytest.mark.parametrize(
    "how", [pytest.param("leaping", marks=pytest.mark.nightly), pytest.param("libfaketime", marks=pytest.mark.host)]
)
def test_a_node_that_is_ten_minutes_ahead_renews_when_it_is_due(site: Site, base: Base, measured, how: str):
    site.bao.api("POST", f"{site.mount}/config", {"max_versions": 1000})
    clock = site.folder / "clock"
    clock.write_text(str(AHEAD))
    program = (*FAKETIME, *REFRESHER) if how == "libfaketime" else (sys.executable, str(LEAPING), str(clock))
    crowd = Strict(lambda _: LIFE)
    with crowd.serving(), fleet_of(site, base) as fleet:
        enrol(site, crowd, NAMES)
        fleet.open_to_all()
        fleet.install()
        lives = [fleet.start(0, *program)]
        for turn in (1, 2):
            crowd.wait(lambda: min(map(crowd.counts().__getitem__, NAMES)) >= turn, "each has its turn")  # noqa: B023  # at once
            lives.append(fleet.start(1) if turn == 1 else fleet.start(0, *program))
            lives[-1].wait_for("started", level="info")
            assert lives[-2].stop() == 0
        crowd.wait(lambda: min(map(crowd.counts().__getitem__, NAMES)) >= 3, "each has its third turn")
        assert lives[-1].stop() == 0
    ahead = [line for life in (lives[0], lives[2]) for line in life.lines()]
    skew = {round(line["skew_s"], -1) for line in ahead if line["event"] == "clock_skew"}
    first, second = (len([1 for line in some if line["event"] == "rotated"]) for some in (ahead, lives[1].lines()))
    pauses, late = [], -float(LIFE)
    apart = time.time() - time.monotonic()
    for name in NAMES:
        at = [one.at for one in crowd.of(name)]
        pauses += [after - before for before, after in pairwise(at)]
        written = site.written_at(f"tokens/{name}")[1:]
        late = max(late, *(then - (issued + apart) - LIFE for issued, then in zip(at, written, strict=False)))
    measured(
        f"{first} rotations by a node that is {AHEAD} s ahead ({how}), {second} by another: {min(pauses):.1f} to"
        f" {max(pauses):.1f} s after the one before (due after {EARLIEST:.1f} to {LATEST:.1f} s of {LIFE} s); the"
        f" closest {-late:.1f} s before expiry"
    )
    assert skew == {AHEAD}, "it is told"
    assert first > len(NAMES) / 2 < second, "each took over from the other"
    assert min(pauses) >= EARLIEST - WHOLE, "none too early"
    assert late <= 0, "none too late"
