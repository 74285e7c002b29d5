"""A job beside the cron job that still owns the path; then the path is its own, without a reader missing anything."""

import signal

import pytest

from tests.e2e.site import Site

pytestmark = pytest.mark.e2e
CRON = {"token": "cron-1"}
KEPT = {"fields": {"token": "{access_token}"}}


def cron(site: Site, data: dict[str, str]) -> None:
    """Write as the cron job does."""
    site.bao.api("POST", f"{site.mount}/data/tokens/crm", {"data": data})


def test_beside_cron_and_then_in_its_place(site, oauth2):
    site.add("crm", oauth2, ttl=3600, shadow=True, **KEPT)
    cron(site, CRON)
    with site.daemon() as daemon:
        rotated = daemon.wait_for("rotated", job="crm")
        assert rotated["path"] == f"{site.mount}/tokens/crm-shadow"
        told = daemon.wait_for("shadow_compared", job="crm", path=f"{site.mount}/tokens/crm")
        assert (told["standing"], told["estimated"], told["same"]) == ("well", True, False)
        assert "lacking" not in told
        status = site.run("status", "--json").stdout
        assert '"standing": "well"' in status
        assert (site.versions("crm"), site.token("crm")) == (1, CRON), "only read"

        del site.jobs["crm"]["shadow"]
        site.write()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("reloaded")
        taken = daemon.wait_for("rotated", job="crm", within=60)
        assert (taken["path"], taken["version_before"]) == (f"{site.mount}/tokens/crm", 1)
        assert site.token("crm")["token"] != "cron-1"
        assert not [line for line in daemon.lines(job="crm") if line["level"] in ("warning", "error")]
        assert daemon.stop() == 0
    assert sum(oauth2.stats().of("crm-client").outcomes.values()) == 2, "one token for each of the two"


def test_a_pass_takes_over_what_a_pass_stood_beside(site, oauth2):
    site.add("crm", oauth2, ttl=3600, shadow=True, **KEPT)
    cron(site, CRON)
    site.write()
    assert site.run("once").returncode == 0
    assert site.token("crm") == CRON
    del site.jobs["crm"]["shadow"]
    site.write()
    done = site.run("once", "--force")
    assert done.returncode == 0, done.stdout
    assert site.versions("crm") == 2
