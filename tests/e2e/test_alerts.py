"""The alerts, provoked for real: a daemon, a fault, and a Prometheus from Debian that scrapes it."""

import signal

import pytest

from tests.e2e.prometheus import prometheus
from tests.web.stage import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.host, pytest.mark.nightly, pytest.mark.timeout(400)]


@pytest.fixture
def watched(raft_site, smartdocumentor, tmp_path):
    """A daemon with three jobs, and who watches it."""
    port = free_port()
    raft_site.tables["web"] = {"listen": f"127.0.0.1:{port}"}
    for name, ttl in (("well", 3600), ("short", 16), ("refused", 16)):
        raft_site.add(name, smartdocumentor, ttl=ttl)
    with raft_site.daemon() as daemon, prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}") as watcher:
        for name in raft_site.jobs:
            daemon.wait_until(lambda line, name=name: line["event"] == "rotated" and line["job"] == name)
        yield daemon, watcher


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
