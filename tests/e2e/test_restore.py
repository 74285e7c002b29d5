"""Vault is restored from a snapshot: what was spent since is not sent, and the newest pair comes from the journal."""

import pytest

from refresher.demo.openbao import OpenBao
from tests.servers.asking import ask
from tests.servers.cluster import await_that

pytestmark = [pytest.mark.e2e, pytest.mark.fault("F48")]
JOBS = ("api", "consented")


@pytest.fixture
def site(raft_site, semansys):
    """`api` has a full grant to fall back to; `consented` has its refresh token and nothing else."""
    for job in JOBS:
        raft_site.add(job, semansys, ttl=6)
    job = raft_site.jobs["consented"]
    secret = raft_site.canaries.planted["consented client secret"]
    seed = ask(semansys, client=job["client_id"], secret=secret).json()["refresh_token"]
    del job["username"], job["password"]
    job |= {"grant": "refresh_token", "refresh_token": raft_site.secret("seed", seed)}
    return raft_site


def snapshot(bao: OpenBao) -> bytes:
    status, content = bao._ask("GET", "sys/storage/raft/snapshot", b"", bao.root_token)
    assert status == 200
    return content


def restore(bao: OpenBao, content: bytes) -> None:
    status, _ = bao._ask("POST", "sys/storage/raft/snapshot-force", content, bao.root_token)
    assert 200 <= status < 300
    bao.unseal()


def each_rotated(daemon, times: int, **fields) -> None:
    """Return when each job has rotated so often."""
    for _ in range(times):
        waiting = set(JOBS)
        while waiting:
            waiting.discard(daemon.wait_for("rotated", **fields)["job"])


def recovered(daemon) -> None:
    """Return when it was told of each job that Vault went back, and each has rotated twice since."""
    told = sorted(daemon.wait_for("foreign_change", error="restored")["job"] for _ in JOBS)
    assert told == list(JOBS)
    each_rotated(daemon, 2, grant="refresh_token")


def settled(site) -> tuple[bytes, list[int]]:
    """Return a snapshot and the generations in it, of a moment in which no rotation was under way."""
    while True:
        before = [site.read(f"refresher/default/{job}") for job in JOBS]
        content = snapshot(site.bao)
        after = [site.read(f"refresher/default/{job}") for job in JOBS]
        if before == after and all(one["phase"] == "idle" for one in after):
            return content, [int(one["generation"]) for one in after]


def generations(site) -> list[int]:
    return [int(site.read(f"refresher/default/{job}")["generation"]) for job in JOBS]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_the_newest_pair_is_recovered_and_no_spent_one_is_sent(site, semansys, running):
    with site.daemon() as daemon:
        each_rotated(daemon, 1)
        content, then = settled(site)
        await_that(
            lambda: all(now >= before + 3 for now, before in zip(generations(site), then, strict=True)), "no rotations"
        )
        newest = generations(site)
        if running:
            restore(site.bao, content)
            recovered(daemon)
        assert daemon.stop() == 0
    if not running:
        restore(site.bao, content)
        await_that(lambda: generations(site) == then, "Vault did not go back")  # it answers from before for a moment
        with site.daemon() as daemon:
            recovered(daemon)
            assert daemon.stop() == 0

    assert all(now > before for now, before in zip(generations(site), newest, strict=True)), "and on from the newest"
    stats = semansys.stats()
    assert stats.refresh_reused == 0, "no spent one was sent"
    assert stats.outcomes.keys() == {"200"}
    assert stats.of("api-client").grants["password"] == 1, "the newest pair was recovered, not asked for anew"
