"""Answers of Vault's that are lost or lead elsewhere, a quota, a mount of another version: each under a real daemon."""

import socket
import time
from contextlib import contextmanager

import pytest

from tests.e2e.between import between
from tests.e2e.site import RECORD, Site

pytestmark = pytest.mark.e2e
HEALED_S = 30
UNDER_WAY_S = 2
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture
def way(site):
    """What stands between the daemon of `site` and its Vault."""
    with between(int(site.bao.address.rpartition(":")[2])) as one:
        site.tables["vault"]["address"] = one.address
        yield one


@pytest.mark.fault("F13")
def test_the_answer_to_each_write_is_lost(site, way, semansys, measured):
    """Each rotation makes three: the intent, the refresh token, the token."""
    site.add("api", semansys, ttl=12, max_age="3s")
    way.loses = lambda passed: passed.made
    with site.daemon() as daemon:
        for _ in range(3):
            daemon.wait_for("rotated")
        assert daemon.stop() == 0
    rotations, stats = len(daemon.lines("rotated")), semansys.stats()
    written = {path: sum(one.path.endswith(path) for one in way.lost) for path in (f"{RECORD}api", "tokens/api")}
    measured(
        f"{len(way.lost)} answers to writes lost: {rotations} rotations, {site.versions('api')} versions,"
        f" {stats.total} requests"
    )
    assert written == {f"{RECORD}api": 2 * rotations, "tokens/api": rotations}, "each once: nothing is written twice"
    assert site.versions("api") == rotations
    assert stats.outcomes == {"200": rotations}
    assert stats.refresh_reused == 0
    assert not daemon.lines("grant_unknown", "foreign_change", "expired")


@contextmanager
def stranger():
    """A host that nobody named: yield its port and what connected to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        came = []

        def look() -> list[bytes]:
            while True:
                try:
                    connection, _ = server.accept()
                except BlockingIOError:
                    return came
                with connection:
                    connection.settimeout(1)
                    came.append(connection.recv(65536))

        yield server.getsockname()[1], look


@pytest.mark.nightly
@pytest.mark.answer("V6")
@pytest.mark.fault("F24")
def test_vault_redirects_to_a_host_that_nobody_named(site, way, semansys, measured):
    """Kinds of redirect by turns, for some seconds in which the token comes due: login, reads and writes alike."""
    site.add("api", semansys, ttl=30, max_age="3s")
    with stranger() as (port, look), site.daemon() as daemon:
        daemon.wait_for("rotated")
        known, kinds = len(way.passed), iter(REDIRECTS * 1000)

        def redirect() -> bytes:
            location = f"http://127.0.0.1:{port}/v1/secret"
            return f"HTTP/1.1 {next(kinds)} There\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

        way.instead = redirect
        daemon.wait_for("store_failed")
        ends = time.monotonic() + HEALED_S
        while len(way.passed) - known < len(REDIRECTS) and time.monotonic() < ends:
            time.sleep(0.05)
        way.instead, began = lambda: None, time.monotonic()
        redirected = [one.status for one in way.passed[known:]]
        daemon.wait_for("rotated", within=60)
        healed = time.monotonic() - began
        came = look()
        assert daemon.stop() == 0
    measured(
        f"{len(redirected)} redirects of {len(set(redirected))} kinds: {sum(map(len, came))} bytes there;"
        f" written {healed:.1f} s after the last"
    )
    assert set(REDIRECTS) <= set(redirected)
    assert came == []
    assert not daemon.lines("expired", "grant_unknown", "foreign_change")


@pytest.mark.nightly
@pytest.mark.answer("V28")
@pytest.mark.fault("F15")
def test_a_quota_refuses_most_of_what_is_due(site, way, node_oauth2, measured):
    """Each of twelve jobs needs a look and a write, and eight requests are served in six seconds."""
    rate, interval, needed = 8, 6, 24
    for number in range(needed // 2):
        site.add(f"api-{number}", node_oauth2, ttl=120)
    path = f"sys/quotas/rate-limit/{site.mount}"
    site.bao.api("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
    site.bao.api("POST", path, {"path": site.mount, "rate": rate, "interval": f"{interval}s"})
    try:
        with site.daemon() as daemon:
            for _ in site.jobs:
                daemon.wait_for("rotated", within=60)
            assert daemon.stop() == 0
    finally:
        site.bao.api("DELETE", path)
    passed = [one for one in way.passed if one.path.startswith(f"/v1/{site.mount}/")]
    refused = [one for one in passed if one.status == 429]
    first, ends, windows, early = 0.0, 0.0, 0, list[float]()
    for one in refused:
        if one.at > ends - 1:  # the first that is refused in its window: others are under way
            first, ends, windows = one.at, one.at + one.retry_after, windows + 1
        elif one.at > first + UNDER_WAY_S:
            early.append(round(ends - one.at, 1))
    lasted = passed[-1].at - passed[0].at
    measured(
        f"{rate} requests in {interval} s where {needed} are needed: done after {lasted:.1f} s,"
        f" {needed / rate * interval:.0f} s at the least; {len(refused)} of {len(passed)} refused in {windows} windows,"
        f" {len(early)} before their end"
    )
    assert refused, "else nothing was tried"
    assert not early, "nobody asks again before the quota's end, which is told in whole seconds"
    assert lasted <= 60
    assert node_oauth2.stats().total == len(site.jobs)


@pytest.fixture
def old_site(tmp_path, openbao):
    openbao.mount("old-site", version=1)
    site = Site(tmp_path, openbao, "old-site")
    site.allow = lambda _config: openbao.api(
        "PUT",
        f"sys/policies/acl/{site.role}",
        {"policy": 'path "old-site/*" { capabilities = ["create", "update", "read"] }'},
    )
    return site


@pytest.mark.answer("V22")
@pytest.mark.fault("F21")
def test_a_mount_of_version_1_is_upgraded(old_site, semansys, node_oauth2, measured):
    site = old_site
    site.add("plain", node_oauth2, ttl=8)
    site.add("spending", semansys, ttl=60)
    with site.daemon() as daemon:
        for _ in range(2):
            daemon.wait_for("rotated", job="plain")
        daemon.wait_for("store_failed", job="spending", error="kv_v1")
        asked = semansys.stats().total
        site.bao.api("POST", "sys/mounts/old-site/tune", {"options": {"version": "2"}})
        began, healed = time.monotonic(), {}
        while healed.keys() != {"plain", "spending"}:
            line = daemon.wait_for("rotated", within=60)
            if line["version"] is not None:
                healed.setdefault(line["job"], time.monotonic() - began)
        assert daemon.stop() == 0
    told = daemon.lines("store_failed", job="spending", level="error")
    measured(
        f"version 1: {asked} requests of the irreplaceable job, told {len(told)} time; upgraded: written"
        f" {', '.join(f'{seconds:.1f} s' for seconds in healed.values())} after"
    )
    assert asked == 0, "nothing is spent that could not be kept"
    assert max(healed.values()) <= HEALED_S
    assert not daemon.lines("expired", job="plain")
    site.check_outputs()
