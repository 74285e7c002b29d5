"""A node whose wall clock is ten minutes ahead renews in its turn, when it is due: as if its clock were right."""

import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.crowd import Crowd, enrol
from tests.e2e.fleet import fleet_of
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
FAKED = ("faketime", "--exclude-monotonic", "-f", f"+{AHEAD}s", *REFRESHER)


@pytest.mark.fault("F25")
@pytest.mark.parametrize("how", ["leaping", pytest.param("libfaketime", marks=pytest.mark.host)])
def test_a_node_that_is_ten_minutes_ahead_renews_when_it_is_due(site: Site, base: Base, measured, how: str):
    site.bao.api("POST", f"{site.mount}/config", {"max_versions": 1000})
    clock = site.folder / "clock"
    clock.write_text(str(AHEAD))
    program = FAKED if how == "libfaketime" else (sys.executable, str(LEAPING), str(clock))
    crowd = Crowd(lambda _: LIFE)
    with crowd.serving(), fleet_of(site, base) as fleet:
        enrol(site, crowd, NAMES)
        fleet.open_to_all()
        fleet.install()
        ahead, right = fleet.start(0, *program), fleet.start(1)
        crowd.wait(lambda: min(map(crowd.counts().__getitem__, NAMES)) >= 3, "each was renewed twice", within=90)
        for node in (ahead, right):
            assert node.stop() == 0
    skew = {round(line["skew_s"], -1) for line in ahead.lines("clock_skew")}
    by = {name: [len(node.lines("rotated", job=name)) for node in (ahead, right)] for name in NAMES}
    first, second = (sum(column) for column in zip(*by.values(), strict=True))
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
    assert first > len(NAMES) / 2 < second, "both had their turns"
    assert min(pauses) >= EARLIEST - WHOLE, "none too early"
    assert late <= 0, "none too late"
