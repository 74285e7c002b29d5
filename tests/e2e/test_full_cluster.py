"""A real cluster of three nodes whose disks are full: its leader's data, then the logs that all must write."""

import time

import pytest

from tests.e2e.house import house as running_house
from tests.servers.cluster import cluster
from tests.servers.full import Confined

pytestmark = [pytest.mark.e2e, pytest.mark.host, pytest.mark.timeout(300)]
AGE = 10  # seconds after which the youngest token is renewed
LAG_S = 30


@pytest.fixture(scope="module")
def house(tmp_path_factory, provider_pool):
    """The same house for the whole module."""
    folder = tmp_path_factory.mktemp("full")
    with (
        cluster(folder, multiplier=1, kind=Confined) as three,
        running_house(folder, three, provider_pool, AGE) as one,
    ):
        yield one


@pytest.mark.answer("V33")
@pytest.mark.fault("F14")
def test_the_leaders_disk_is_full(house, measured):
    """Another node takes the lead; the one whose disk is full comes back once there is space."""
    leader = house.lead(direct=False)
    since = house.fault(leader.fill)
    active = house.cluster.await_active(but=leader)
    back = time.time()
    lags = house.healed(since, back)
    measured(f"the leader's disk full: another leads after {back - since:.1f} s; served after it: {lags}")
    assert active is not leader
    assert max(lags.values()) <= LAG_S
    leader.filler.unlink()
    if ended := leader.has_ended:
        leader.kill()
        leader.start()  # as its supervisor would
    freed = time.time()
    house.cluster.await_whole()
    lags = house.healed(freed, freed)
    measured(f"its disk has space again (OpenBao had ended: {ended}): whole, and served: {lags}")
    assert max(lags.values()) <= LAG_S


@pytest.mark.answer("V34")
@pytest.mark.fault("F12", "F14")
def test_no_node_can_log_what_it_is_asked(house, measured):
    """No request is answered any more; one under way may have been made."""
    house.lead(direct=False)
    since = house.fault(*(lambda node=node: node.allow(0) for node in house.cluster.nodes))
    house.await_due()
    asked = max(house.asked(since).values())
    for node in house.cluster.nodes:
        node.allow(None)
    back = time.time()
    lags = house.healed(since, back)
    measured(f"audit full on all three until all were due ({asked} requests a job at most); served after it: {lags}")
    assert asked <= 2
    assert max(lags.values()) <= LAG_S


def test_nothing_was_lost_or_done_twice(house, measured):
    """The last of them all: the daemons end. A write of unknown end is told when it is so for the third time."""
    assert [post.daemon.stop() for post in house.posts] == [0, 0]
    rotations = sum(post.check(told="unavailable") for post in house.posts)
    reused = house.providers[0].stats().refresh_reused
    measured(f"{rotations} rotations, {reused} refresh tokens reused")
    assert reused == 0
    for post in house.posts:
        post.site.outputs.append(post.log)
        post.site.check_outputs()
