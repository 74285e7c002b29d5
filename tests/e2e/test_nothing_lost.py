"""A daemon that is killed loses no refresh token that was issued, sends none twice, and says what it can't know."""

import random
import time

import pytest

pytestmark = pytest.mark.e2e
HEALED_S = 10


def await_requests(provider, number: int) -> None:
    """Return once the server has counted so many token requests; it counts one when it comes in."""
    ends = time.monotonic() + 30
    while provider.stats().total < number:
        assert time.monotonic() < ends, "no request came"
        time.sleep(0.02)


def record(site) -> dict[str, str]:
    return site.read("refresher/default/api") or {}


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


def test_killed_with_an_answer_that_vault_did_not_take(raft_site, semansys):
    site = raft_site
    site.add("api", semansys, ttl=40, renew_before="34s")  # due after some 20 s: half of the life
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        semansys.control(delay_ms=1500)
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(3000)])])
def test_killed_at_any_time(site, semansys, kills, capsys):
    """No refresh token is sent twice, and each full grant but the first was told of as unknown."""
    chance = random.Random(4)  # noqa: S311  # the same story each time
    site.add("api", semansys, ttl=6)
    semansys.control(delay_ms=150)
    unknown = recovered = rotations = 0
    for _ in range(kills):
        with site.daemon() as daemon:
            daemon.wait_for("started")
            asked = semansys.stats().total
            await_requests(semansys, asked + 1)
            time.sleep(chance.uniform(0, 0.3))
            daemon.kill()
        unknown += len(daemon.lines("grant_unknown"))
        rotations += len(daemon.lines("rotated"))
        recovered += len([line for line in daemon.lines("rotated") if line["reason"] == "unwritten"])
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        assert daemon.stop() == 0
    unknown += len(daemon.lines("grant_unknown"))
    stats = semansys.stats()
    with capsys.disabled():
        print(
            f"\n{kills} kills: {stats.total} requests, {rotations} rotations told, {unknown} grants unknown, ", end=""
        )
        print(f"{recovered} answers from the journal, {stats.grants['password']} full grants, ", end="")
        print(f"{stats.refresh_reused} refresh tokens sent twice")
    assert stats.refresh_reused == 0
    assert stats.grants["password"] <= unknown + 1
    assert record(site)["phase"] == "idle"
