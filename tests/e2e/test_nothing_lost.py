"""A daemon that is killed loses no refresh token that was issued, sends none twice, and says what it can't know."""

import time

import pytest

from tests.e2e.waiting import await_requests

pytestmark = pytest.mark.e2e
HEALED_S = 10


def record(site) -> dict[str, str]:
    return site.read("refresher/default/api") or {}


@pytest.mark.fault("F2")
def test_killed_between_request_and_answer(site, semansys):
    site.add("api", semansys, ttl=8)
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        semansys.control(delay_ms=3000)
        await_requests(semansys, 2)
        daemon.kill()
    assert record(site)["phase"] == "spending"
    time.sleep(3)  # the server answers nobody meanwhile: the old refresh token is spent by now
    semansys.control(delay_ms=0)

    began = time.monotonic()
    with site.daemon() as daemon:
        line = daemon.wait_for("grant_unknown", within=HEALED_S)
        assert (line["level"], line["job"]) == ("error", "api")
        healed = daemon.wait_for("rotated", within=HEALED_S)
        assert time.monotonic() - began < HEALED_S
        assert (healed["grant"], healed["reason"]) == ("password", "grant_unknown")
        assert daemon.wait_for("rotated")["grant"] == "refresh_token", "and on as before"
        assert daemon.stop() == 0
    assert len(daemon.lines("grant_unknown")) == 1
    assert semansys.stats().refresh_reused == 0
    assert record(site)["phase"] == "idle"


@pytest.mark.fault("F3")
def test_killed_with_an_answer_that_vault_did_not_take(raft_site, semansys):
    site = raft_site
    site.add("api", semansys, ttl=40, renew_before="34s")  # due after some 20 s: half of the life
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        semansys.control(delay_ms=5000)
        await_requests(semansys, 2)
        site.bao.stop()
        daemon.wait_for("store_failed", within=30)
        before = semansys.stats()
        daemon.kill()
    semansys.control(delay_ms=0)
    site.bao.start()
    assert record(site)["phase"] == "spending"

    with site.daemon() as daemon:
        healed = daemon.wait_for("rotated", within=HEALED_S)
        assert healed["reason"] == "unwritten"
        assert semansys.stats().total == before.total, "nothing was asked for: the answer was in the journal"
        assert daemon.wait_for("rotated", within=60)["grant"] == "refresh_token"
        assert daemon.stop() == 0
    assert not daemon.lines("grant_unknown")
    assert semansys.stats().grants["password"] == 1
    assert semansys.stats().refresh_reused == 0
