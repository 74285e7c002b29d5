"""Half of a fleet has another jobs.toml: each node renews what it knows, and nobody takes out what others have."""

import signal
import time

import pytest

from tests.e2e.crowd import enrol
from tests.e2e.fleet import Fleet, Strict, fleet_of
from tests.e2e.site import Site
from tests.servers.postgres import Base

pytestmark = pytest.mark.e2e
LIFE = 12  # renewed after some 8 s
RECONCILE, GRACE = 2, 3  # seconds
HALF_S = 3 * max(RECONCILE, GRACE)
KEPT = [f"kept-{number}" for number in range(4)]
OLD, NEW = "old", "young"


def rows(fleet: Fleet) -> dict[str, str]:
    """Return the number of each job's row: one that was taken out and put in again has another."""
    found = fleet.base.sql("SELECT dedupe_key, id FROM refresher.pgqueuer ORDER BY 1")
    return dict(line.split("|") for line in found.splitlines())


def change(fleet: Fleet, number: int, jobs: dict) -> None:
    host = fleet.hosts[number]
    host.jobs = jobs
    host.write()
    fleet.lives[number].process.send_signal(signal.SIGHUP)
    fleet.lives[number].wait_for("reloaded")


@pytest.mark.nightly  # test_engine.py does the same within one process
def test_half_reloaded_nodes_do_not_fight(site: Site, base: Base, measured):
    crowd = Strict(lambda _: LIFE)
    with crowd.serving(), fleet_of(site, base) as fleet:
        enrol(site, crowd, [*KEPT, OLD, NEW])
        every = dict(site.jobs)
        before = {name: every[name] for name in (*KEPT, OLD)}
        after = {name: every[name] for name in (*KEPT, NEW)}
        fleet.open_to_all()
        for host in fleet.hosts:
            host.jobs = before
            host.tables["scheduler"]["postgres"] |= {"reconcile": f"{RECONCILE}s", "remove_grace": f"{GRACE}s"}
        fleet.install()
        for number in range(3):
            fleet.start(number).wait_for("started", level="info")
        crowd.wait(lambda: len(crowd.counts()) == len(before), "each has a token")

        change(fleet, 0, after)
        crowd.wait(lambda: crowd.counts()[NEW] > 0, "the one that was reloaded renews the new job")
        gone = len(fleet.lives[0].lines("rotated", job=OLD))
        half, since, asked = rows(fleet), time.monotonic(), len(crowd.asked)
        assert half.keys() == every.keys()
        crowd.wait(lambda: time.monotonic() - since > HALF_S, "they hold their jobs against the table again and again")
        crowd.wait(lambda: crowd.counts(asked).keys() == every.keys(), "all are renewed, by those that know them")
        lasted = time.monotonic() - since
        assert rows(fleet) == half, "no row was taken out, or put in again"

        reloaded, *others = fleet.lives
        assert len(reloaded.lines("rotated", job=OLD)) == gone, "who does not know a job renews it no more"
        assert not [one for other in others for one in other.lines("rotated", job=NEW)]
        for number in (1, 2):
            change(fleet, number, after)
        agreed = time.monotonic()
        crowd.wait(lambda: rows(fleet).keys() == after.keys(), "all agree: the old job goes")
        measured(
            f"half reloaded for {lasted:.0f} s, held against the table every {RECONCILE} s: no row lost or made anew;"
            f" that of the old job went {time.monotonic() - agreed:.1f} s after all agreed"
        )
        assert {name: half[name] for name in after} == rows(fleet)
        for life in fleet.lives:
            assert life.stop() == 0
            assert not life.lines("expired")
