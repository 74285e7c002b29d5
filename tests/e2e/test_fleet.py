"""Three nodes, each a process, on a real PostgreSQL and a real OpenBao: a node is killed, PostgreSQL crashes."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.crowd import enrol
from tests.e2e.fleet import LEASE, POLL, Strict, fleet_of
from tests.e2e.site import Site
from tests.servers.postgres import Base, Postgres, new_base
from tests.servers.provider import Provider

pytestmark = pytest.mark.e2e
HOUR = 3600
SLACK = 1.0  # seconds beside lease and poll
BUSY_S = 4.0  # the same on a busy machine; whoever waits for a deadline instead needs 20 s and more
NAMES = [f"job-{number}" for number in range(12)]


def test_what_a_killed_node_had_is_walked_again_by_another_in_time(site: Site, base: Base, measured):
    slow = Strict(lambda _: HOUR, latency=30)
    with slow.serving(), fleet_of(site, base) as fleet:
        enrol(site, slow, NAMES)
        fleet.open_to_all()
        fleet.install()
        first = fleet.start(0)
        slow.wait(lambda: len(slow.asked) == len(NAMES), "all are asked for")
        for life in [fleet.start(number) for number in (1, 2)]:
            life.wait_for("started", level="info")
        assert fleet.locked_by(0) == set(NAMES), "the first has all in hand"
        slow.latency = 0.05
        killed = time.monotonic()
        first.kill()
        slow.wait(lambda: len(slow.asked) == 2 * len(NAMES), "all are asked for again")
        late = max(one.at for one in slow.asked) - killed
        measured(f"kill -9 of one of three: its {len(NAMES)} jobs asked for again within {late:.1f} s")
        slow.wait(lambda: fleet.rows("queued") == sorted(NAMES), "all are back in the table")
        assert set(slow.counts().values()) == {2}, "and none twice"
        assert late <= LEASE + POLL + BUSY_S
        assert all(site.token(name) for name in NAMES)


@pytest.mark.parametrize(
    ("program", "overlaps"),
    [((), 0), ((sys.executable, str(Path(__file__).with_name("unguarded.py"))), len(NAMES))],
    ids=["guarded", "without"],
)
def test_nobody_walks_what_a_frozen_node_has_and_without_the_guard_they_do(
    site: Site, base: Base, measured, program: tuple[str, ...], overlaps: int
):
    slow = Strict(lambda _: HOUR, latency=40)
    with slow.serving(), fleet_of(site, base) as fleet:
        enrol(site, slow, NAMES)
        fleet.open_to_all()
        fleet.install()
        frozen = fleet.start(0, *program)
        slow.wait(lambda: len(slow.asked) == len(NAMES), "all are asked for, and nobody is answered")
        fleet.start(1, *program).wait_for("started", level="info")
        owners = "SELECT DISTINCT queue_manager_id FROM refresher.pgqueuer WHERE status = 'picked'"
        before = base.sql(f"SELECT manager FROM refresher.refresher_nodes WHERE holder = '{fleet.hosts[0].holder}'")  # noqa: S608  # nothing of it is from outside
        assert before
        frozen.process.send_signal(signal.SIGSTOP)
        ends = time.monotonic() + LEASE + POLL + SLACK
        slow.wait(lambda: before not in base.sql(owners), "the lease is over: the rows are the other's")
        time.sleep(max(ends - time.monotonic(), 0.0) + POLL)
        slow.wait(lambda: sum(times > 1 for times in slow.counts().values()) >= overlaps, "nobody keeps them from it")
        asked = slow.counts()
        frozen.process.send_signal(signal.SIGCONT)
        twice = [name for name in NAMES if asked[name] > 1]
        measured(
            f"frozen for {time.monotonic() - ends + LEASE + POLL + SLACK:.0f} s, with a lease of {LEASE} s"
            f"{', without the guard' if program else ''}: {len(twice)} of {len(NAMES)} jobs walked twice at once"
        )
        assert len(twice) == overlaps


@pytest.mark.nightly
def test_single_use_tokens_outlive_a_crash_of_postgresql_and_of_a_node(
    site: Site, mortal_postgres: Postgres, semansys: Provider
):
    base = new_base(mortal_postgres)
    with fleet_of(site, base) as fleet:
        names = [f"single-{number}" for number in range(4)]
        for name in names:
            site.add(name, semansys, ttl=14, revokes_previous=True)
        fleet.install()
        for number in range(3):
            fleet.start(number)
        for _ in names:
            _written(fleet, names, 1)
        mortal_postgres.stop(signal.SIGQUIT)
        fleet.lives[0].wait_for("scheduler_away", level="warning")
        mortal_postgres.start()
        fleet.lives[0].wait_for("scheduler_back")
        _written(fleet, names, 2)
        fleet.lives[1].kill()
        fleet.start(1)
        _written(fleet, names, 4)
        for life in (fleet.lives[0], fleet.lives[2], fleet.lives[3]):
            assert life.stop() == 0
        assert fleet.rows("queued") == names
        told = [line for life in fleet.lives for line in life.lines("grant_unknown", level="error")]
        assert semansys.stats().refresh_reused <= len(told)
        dump = mortal_postgres.dump(base.name)
        assert "refresh:semansys" in dump
        tokens = {f"{name} token": (site.token(name) or {})["access_token"] for name in names}
        site.canaries.planted |= tokens
        site.canaries.check(dump)


def _written(fleet, names, versions: int) -> None:
    """Return once each job has so many versions more than none."""
    ends = time.monotonic() + 60
    while any(fleet.site.read(f"tokens/{name}") is None or fleet.site.versions(name) < versions for name in names):
        assert time.monotonic() < ends, "\n".join("".join(life.text[-15:]) for life in fleet.lives)
        time.sleep(0.2)
