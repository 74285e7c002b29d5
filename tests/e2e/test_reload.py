"""SIGHUP: jobs come and go while the others run, and a broken file changes nothing but the log."""

import signal

import pytest

pytestmark = pytest.mark.e2e


def test_a_job_that_is_added_is_fetched_at_once_and_one_that_is_removed_is_left_alone(site, smartdocumentor):
    site.add("stays", smartdocumentor)
    site.add("goes", smartdocumentor, ttl=6)
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated")
        gone = site.jobs.pop("goes")
        site.add("comes", smartdocumentor)
        site.write()
        daemon.process.send_signal(signal.SIGHUP)
        assert "1 of 2 jobs are gone (goes)" in str(daemon.wait_for("reload_refused")["mistakes"])
        daemon.process.send_signal(signal.SIGUSR2)
        line = daemon.wait_for("reloaded")
        assert (line["jobs"], line["added"], line["removed"], line["changed"]) == (2, 1, 1, 0)
        assert (line["orphaned"], line["refused"]) == ([f"{site.mount}/{gone['path']}"], 1)
        assert daemon.wait_for("rotated", job="comes", within=5)["reason"] == "missing"
        assert daemon.stop() == 0
    assert site.versions("stays") == 1, "it was not fetched again"
    assert site.read(gone["path"]) is not None, "what stands there stays"


@pytest.mark.fault("F52")
@pytest.mark.parametrize("text", ["[jobs.x", "", '[jobs.api]\nprovider = "nobody"\n'], ids=["broken", "empty", "wrong"])
def test_a_broken_file_keeps_the_old_jobs_running_and_says_so_once(site, smartdocumentor, text):
    site.add("api", smartdocumentor, ttl=6)
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        site.config.write_text(text)
        daemon.process.send_signal(signal.SIGHUP)
        line = daemon.wait_for("reload_refused")
        assert line["level"] == "error"
        assert str(site.config) in " ".join(line["mistakes"])
        daemon.wait_for("rotated", reason="due")
        assert daemon.stop() == 0
    assert len(daemon.lines("reload_refused")) == 1
    assert not daemon.lines("expired")


def test_a_changed_job_is_fetched_anew(site, smartdocumentor):
    site.add("api", smartdocumentor)
    smartdocumentor.add_client("another", secret=site.canaries.plant("another"))
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        site.jobs["api"] |= {"client_id": "another"}
        site.secret("api", site.canaries.planted["another"])
        site.write()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded", changed=1)
        assert daemon.wait_for("rotated", job="api")["reason"] == "config_changed"
        assert daemon.stop() == 0
    assert smartdocumentor.stats().of("another").total == 1
