"""Vault's disk takes no more: for the log that it must write before it may answer, and for its data."""

import json
import time
from itertools import accumulate

import pytest

from tests.e2e.site import RECORD, Site
from tests.e2e.waiting import await_requests
from tests.servers.cluster import ACTIVE, await_that
from tests.servers.full import Audited, OnSmallDisk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
LESS_THAN_AN_ANSWER = 300  # bytes
HEALED_S = 30


@pytest.fixture
def node(tmp_path):
    node = Audited(tmp_path / "node", multiplier=1)
    try:
        node.start()
        await_that(lambda: node.health() == ACTIVE, "the node is not active")
        node.mount("secret")
        yield node
    finally:
        node.close()


@pytest.fixture
def small_node(tmp_path):
    node = OnSmallDisk(tmp_path / "node", multiplier=1)
    try:
        node.start()
        await_that(lambda: node.health() == ACTIVE, "the node is not active")
        node.mount("secret")
        yield node
    finally:
        node.close()


@pytest.fixture
def site(tmp_path, node):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", node, "secret")
    yield site
    site.check_outputs()


def committed(lines: list[bytes]) -> list[int]:
    """Return the bytes of the log before the answer to each write that was made, within these lines of one cycle."""
    ends = [0, *accumulate(map(len, lines))]
    return [before for line, before in zip(lines, ends, strict=False) if is_made(json.loads(line))]


def is_made(entry: dict) -> bool:
    answer = entry.get("response", {}).get("data", {})
    return entry["type"] == "response" and entry["request"]["operation"] in ("create", "update") and "version" in answer


@pytest.mark.answer("V34")
@pytest.mark.fault("F12")
def test_each_write_of_a_rotation_is_made_and_answered_500(node, site, semansys, measured):
    site.add("api", semansys, ttl=12, max_age="4s")
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        before = len(node.lines())
        daemon.wait_for("rotated")
        rooms = committed(node.lines()[before:])
        held_back: list[str] = []
        for room in rooms:
            node.allow(room + LESS_THAN_AN_ANSWER)
            known = len(node.unanswered())
            await_that(lambda known=known: len(node.unanswered()) > known, "no answer was held back")
            held_back.append(node.unanswered()[known])
            daemon.wait_until(lambda line: line["event"] == "store_failed")
            node.allow(None)
            daemon.wait_for("rotated")
        assert daemon.stop() == 0

    rotations, stats = len(daemon.lines("rotated")), semansys.stats()
    measured(f"{len(held_back)} writes made and answered 500, {rotations} rotations, {stats.total} requests")
    record, path = f"secret/data/{RECORD}api", "secret/data/tokens/api"
    assert held_back == [record, record, path], "the intent, the refresh token, the token"
    assert site.versions("api") == rotations
    assert stats.outcomes == {"200": rotations}
    assert stats.refresh_reused == 0
    assert not daemon.lines("grant_unknown", "foreign_change")


@pytest.mark.answer("V33")
@pytest.mark.host
@pytest.mark.fault("F14")
def test_the_disk_of_vault_is_full_while_tokens_come_due(tmp_path, small_node, semansys, node_oauth2, measured):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", small_node, "secret")
    for number in range(3):
        site.add(f"refreshing-{number}", semansys, ttl=60, max_age=f"{20 + number}s")
        site.add(f"plain-{number}", node_oauth2, ttl=60, max_age=f"{20 + number}s")
    providers = semansys, node_oauth2
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated")
        semansys.control(delay_ms=500)
        await_requests(semansys, 4)
        small_node.fill()
        daemon.wait_for("store_failed", within=60)
        asked = sum(provider.stats().total for provider in providers)
        time.sleep(10)  # full: every job comes due
        during = sum(provider.stats().total for provider in providers) - asked
        small_node.filler.unlink()
        if ended := small_node.has_ended:  # OpenBao does where its log had room for a write and its data had none
            small_node.kill()
            small_node.start()  # as its supervisor would
        back, rotated = (
            time.monotonic(),
            {line["job"] for line in daemon.lines("rotated") if line["reason"] != "missing"},
        )
        while len(rotated) < len(site.jobs):
            rotated.add(daemon.wait_for("rotated", within=60)["job"])
        healed = time.monotonic() - back
        assert daemon.stop() == 0
    said = (tmp_path / "node" / "openbao.log").read_text()
    measured(f"all served {healed:.1f} s after there was space, {during} requests meanwhile; OpenBao ended: {ended}")
    assert "no space left on device" in said
    assert healed <= HEALED_S
    assert during <= 2 * len(site.jobs)
    for job in site.jobs:
        assert site.versions(job) == len(daemon.lines("rotated", job=job))
    assert sum(provider.stats().total for provider in providers) == len(daemon.lines("rotated"))
    assert semansys.stats().refresh_reused == 0
    assert not daemon.lines("expired", "grant_unknown", "foreign_change")
    site.check_outputs()
