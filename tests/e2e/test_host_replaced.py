"""A host is destroyed between intent and answer, and rebuilt from jobs.toml and Vault; then the old one returns."""

import time

import pytest

from tests.e2e.waiting import await_requests
from tests.servers.asking import ask

pytestmark = pytest.mark.e2e
JOBS = ("api", "consented")
LEASE = 30
RECORD = "refresher/default/"


@pytest.fixture
def hosts(site, semansys):
    """`api` has a full grant to fall back on; `consented` has its refresh token and nothing else."""
    site.bao.api("POST", f"{site.mount}/config", {"max_versions": 1000})
    for job in JOBS:
        site.add(job, semansys, ttl=8)
    job = site.jobs["consented"]
    secret = site.canaries.planted["consented client secret"]
    seed = ask(semansys, client=job["client_id"], secret=secret).json()["refresh_token"]
    del job["username"], job["password"]
    job |= {"grant": "refresh_token", "refresh_token": site.secret("seed", seed)}
    return site, site.twin("other")


def rotated(daemon, times: int = 1, **fields) -> None:
    for _ in range(times):
        waiting = set(JOBS)
        while waiting:
            waiting.discard(daemon.wait_for("rotated", within=2 * LEASE, **fields)["job"])


def await_rotations(site, job: str, times: int) -> None:
    """Return once the job's path has so many versions more than now, whoever wrote them."""
    wanted = site.versions(job) + times
    ends = time.monotonic() + 2 * LEASE
    while site.versions(job) < wanted:
        assert time.monotonic() < ends, "no rotation came"
        time.sleep(0.1)


@pytest.mark.fault("F2", "F48")
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "answered",
    [pytest.param(False, marks=pytest.mark.nightly, id="before_it_was_spent"), pytest.param(True, id="after")],
)
def test_nothing_newer_is_overwritten_and_nothing_spent_twice(hosts, semansys, answered, measured):
    """`answered`: the provider had spent the grants when the host went; else it never came to that."""
    old, new = hosts
    with old.daemon() as daemon:
        rotated(daemon)
        before = semansys.stats().total
        semansys.control(**({"delay_ms": 10_000} if answered else {"hang": True}))
        await_requests(semansys, before + 2)
        daemon.kill()
        began = time.monotonic()
    records = {job: old.read(RECORD + job) for job in JOBS}
    assert {one["phase"] for one in records.values()} == {"spending"}
    if answered:
        await_requests(semansys, lambda stats: stats.outcomes["pending"] == 0)
    semansys.control(delay_ms=0, hang=False)

    with new.daemon() as daemon:
        told = {daemon.wait_for("grant_unknown", within=2 * LEASE)["job"] for _ in JOBS}
        took = time.monotonic() - began
        assert told == set(JOBS)
        if answered:  # the one declared replay: nothing else can show whether it was spent
            while not daemon.lines("latched", job="consented") or len(daemon.lines("rotated", job="api")) < 2:
                daemon.wait_until(lambda _: True)
        else:
            rotated(daemon, 2)
        newest = {job: old.read(RECORD + job) for job in JOBS}
        tokens = {job: old.token(job) for job in JOBS}
        with old.daemon() as revived:
            revived.wait_for("started", level="info")
            await_rotations(new, "api", 3)  # either may be the one that does it
            assert revived.stop() == 0
        assert daemon.stop() == 0

    stats = semansys.stats()
    replays = 1 if answered else 0
    measured(f"taken over {took:.1f} s after; {len(told)} grants told as unknown, {stats.refresh_reused} replayed")
    assert stats.refresh_reused == replays, "but for the declared replay nothing spent was sent"
    assert stats.of("api-client").grants["password"] == 2, "the first, and the full grant in place of the unknown"
    for job in JOBS:
        generations = [int(one["generation"]) for one in old.history(RECORD + job)]
        assert generations == sorted(generations), "no state record went back"
        issued = [one["issued_at"] for one in old.history(f"tokens/{job}")]
        assert issued == sorted(issued), "no token was written over a newer one"
        assert int(old.read(RECORD + job)["generation"]) >= int(newest[job]["generation"])
        assert old.token(job)["issued_at"] >= tokens[job]["issued_at"]
    asked = {line["job"] for line in revived.lines("grant_unknown", "latched", "store_failed", "foreign_change")}
    assert asked <= {"consented"}
