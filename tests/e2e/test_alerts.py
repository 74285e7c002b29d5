"""The alerts, provoked for real: a daemon, a fault, and a Prometheus from Debian that scrapes it.

Each rule of monitoring/refresher.rules.yml speaks here once (tests/guards/test_metrics.py sees to that), with the times
of tests/e2e/prometheus.py in place of its own.
"""

import json
import signal
import sqlite3
import sys
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from refresher.state.tables import path_of
from tests.e2e.fleet import fleet_of
from tests.e2e.prometheus import prometheus
from tests.e2e.site import RECORD
from tests.servers.postgres import new_base
from tests.web.stage import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.host, pytest.mark.nightly, pytest.mark.timeout(400)]


def statuses(site):
    return [json.loads(line) for line in site.run("status", "--json").stdout.splitlines()]


STUCK = """
import asyncio, sys
from refresher.watch import Watch

async def stuck(self):
    await asyncio.Event().wait()

Watch.sweep = stuck
from refresher.cli import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def watching(site, folder, *program):
    """A daemon whose jobs have their first tokens, and who watches it."""
    port = free_port()
    site.tables["web"] = {"listen": f"127.0.0.1:{port}"}
    with site.daemon(*program) as daemon, prometheus(folder / "prometheus", f"127.0.0.1:{port}") as watcher:
        for name in site.jobs:
            daemon.wait_until(lambda line, name=name: line["event"] == "rotated" and line["job"] == name)
        yield daemon, watcher


@pytest.fixture
def watched(raft_site, smartdocumentor, tmp_path):
    """A daemon with three jobs."""
    for name, ttl in (("well", 3600), ("short", 16), ("refused", 16)):
        raft_site.add(name, smartdocumentor, ttl=ttl)
    with watching(raft_site, tmp_path) as both:
        yield both


def test_where_all_is_well_nothing_speaks(watched):
    _, watcher = watched
    watcher.wait_for_none()


def test_a_job_that_fails_its_token_that_runs_out_and_its_death(watched, smartdocumentor):
    _, watcher = watched
    smartdocumentor.control(client="short-client", fail={"status": 503, "times": 1000})
    smartdocumentor.control(client="refused-client", fail={"status": 401, "times": 1000})
    watcher.wait_for(("RefresherJobFailing", "short"), ("RefresherJobLatched", "refused"))
    watcher.wait_for(("RefresherTokenDead", "short"), ("RefresherTokenDead", "refused"))
    assert not [one for one in watcher.firing() if one[1] == "well"]
    smartdocumentor.control(client="short-client", fail=None)
    smartdocumentor.control(client="refused-client", fail=None)


def test_a_vault_that_is_away(watched, raft_site):
    _, watcher = watched
    raft_site.bao.seal()
    watcher.wait_for(("RefresherVaultAway", ""), within=90)
    watcher.wait_for(("RefresherTokenDead", "short"))


def test_a_daemon_that_stands_still_and_one_that_is_gone(watched):
    daemon, watcher = watched
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        watcher.wait_for(("RefresherDown", ""), within=90)
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    watcher.wait_for_none()
    assert daemon.stop() == 0
    watcher.wait_for(("RefresherDown", ""))


def test_a_scheduler_that_stands_still_while_its_page_is_served(raft_site, smartdocumentor, tmp_path):
    raft_site.add("well", smartdocumentor, ttl=3600)
    with watching(raft_site, tmp_path, sys.executable, "-c", STUCK) as (_, watcher):
        watcher.wait_for(("RefresherStandstill", ""), within=90)


def test_a_token_with_less_life_than_promised_and_a_job_that_is_late(raft_site, smartdocumentor, tmp_path):
    raft_site.add("long", smartdocumentor, ttl=80)
    with watching(raft_site, tmp_path) as (_, watcher):
        smartdocumentor.control(client="long-client", fail={"status": 503, "times": 1000})
        watcher.wait_for(("RefresherLate", ""), ("RefresherTokenExpiring", "long"), within=120)
        smartdocumentor.control(client="long-client", fail=None)


def test_a_login_that_is_not_renewed(raft_site, smartdocumentor, tmp_path):
    given = {"policies": [raft_site.role], "ttl": "75s", "explicit_max_ttl": "75s"}
    made = raft_site.bao.api("POST", "auth/token/create", given)
    token = raft_site.secret("vault-token", made["auth"]["client_token"])
    raft_site.tables["vault"]["auth"] = {"method": "token", "token": token}
    raft_site.add("well", smartdocumentor, ttl=3600)
    with watching(raft_site, tmp_path) as (_, watcher):
        watcher.wait_for(("RefresherVaultTokenExpiring", ""), within=90)


def test_a_secret_that_comes_to_an_end(raft_site, smartdocumentor, tmp_path):
    soon = (datetime.now(tz=UTC) + timedelta(days=9)).date().isoformat()
    raft_site.add("well", smartdocumentor, ttl=3600)
    raft_site.add("ending", smartdocumentor, ttl=3600, client_secret_expires=soon)
    with watching(raft_site, tmp_path) as (daemon, watcher):
        watcher.wait_for(("RefresherSecretExpiring", "ending"))
        (told,) = daemon.lines("secret_expiring")
        assert (told["job"], told["secret"], told["expires_at"]) == ("ending", "client_secret", f"{soon}T00:00:00Z")
        assert ("RefresherSecretExpiring", "well") not in watcher.firing()
        assert daemon.stop() == 0
    assert [one["secrets"] for one in statuses(raft_site) if one["job"] == "ending"] == [
        [{"secret": "client_secret", "expires_at": f"{soon}T00:00:00Z", "expiring": True}]
    ]
    with raft_site.daemon() as again:
        again.wait_for("started")
        time.sleep(2)  # that nothing is told has no event
        assert not again.lines("secret_expiring"), "told once, after a restart too"
        again.stop()


def test_a_fleet_that_loses_a_node_and_its_postgresql(raft_site, smartdocumentor, mortal_postgres, tmp_path):
    raft_site.add("well", smartdocumentor, ttl=3600)
    with fleet_of(raft_site, new_base(mortal_postgres)) as fleet:
        port = free_port()
        raft_site.tables["web"] = {"listen": f"127.0.0.1:{port}"}
        fleet.install()
        first, second, *_ = [fleet.start(number) for number in range(3)]
        for life in fleet.lives:
            life.wait_for("started", level="info", within=60)
        with prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}") as watcher:
            watcher.wait_for_none()
            second.kill()
            watcher.wait_for(("RefresherNodeGone", ""))
            mortal_postgres.stop()
            watcher.wait_for(("RefresherSchedulerAway", ""))
            mortal_postgres.start()
            first.wait_for("scheduler_back")
            fleet.start(1)
            watcher.wait_for_none(within=120)


def test_history_that_is_lost(raft_site, smartdocumentor, tmp_path):
    raft_site.add("short", smartdocumentor, ttl=6)
    with watching(raft_site, tmp_path) as (_, watcher):
        with closing(sqlite3.connect(path_of(raft_site.folder / "state", "default"), isolation_level=None)) as ledger:
            ledger.execute("BEGIN EXCLUSIVE")
            watcher.wait_for(("RefresherTellingLost", ""), within=90)
            ledger.execute("ROLLBACK")
        watcher.wait_for_none()


def test_an_answer_that_vault_does_not_take(raft_site, smartdocumentor, tmp_path):
    raft_site.add("single", smartdocumentor, ttl=20, revokes_previous=True)
    with watching(raft_site, tmp_path) as (_, watcher):
        smartdocumentor.control(client="single-client", delay_ms=6000)
        ends = time.monotonic() + 60
        while (raft_site.read(f"{RECORD}single") or {}).get("phase") != "spending":
            assert time.monotonic() < ends, "it does not come due"
            time.sleep(0.1)  # Vault tells of no change
        raft_site.bao.seal()
        watcher.wait_for(("RefresherUnwritten", ""), within=90)
        raft_site.bao.unseal()
        watcher.wait_for_none(within=120)
