"""A real cluster of three nodes loses its leader in every way, and two daemons on it live through that unaided."""

import time

import pytest

from tests.e2e.house import house as running_house
from tests.e2e.site import Site
from tests.servers.cluster import PATIENT_S, SEALED, STANDBY, cluster
from tests.servers.provider import Stats

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
LAG_S = 20
QUICK = {"multiplier": 1, "age": 10, "rounds": 1}
DELIVERED = {"multiplier": 5, "age": 20, "rounds": 3}


@pytest.fixture(
    scope="module", params=[QUICK, pytest.param(DELIVERED, marks=pytest.mark.nightly)], ids=["quick", "delivered"]
)
def house(request, tmp_path_factory, provider_pool):
    """The same house for the whole module: each test finds it whole, and leaves it so."""
    folder = tmp_path_factory.mktemp("cluster")
    with (
        cluster(folder, multiplier=request.param["multiplier"]) as three,
        running_house(folder, three, provider_pool, request.param["age"]) as one,
    ):
        one.rounds = request.param["rounds"]
        yield one


@pytest.fixture(autouse=True)
def whole(house):
    house.cluster.mend()
    yield
    house.cluster.mend()


@pytest.fixture
def stale_site(house, tmp_path, request):
    """A daemon of twenty quick jobs that asks a standby alone, on the same cluster."""
    leader = house.lead(direct=False)
    mount = f"stale-{request.node.callspec.params['wanted']}"
    leader.mount(mount)
    site = Site(tmp_path, leader, mount)
    site.tables["vault"]["address"] = house.direct_node.address
    for number in range(20):
        name = f"{mount}-{number}"
        site.add(name, house.providers[number % 2], ttl=6, max_age="2s")
    return site


def is_alarm(line) -> bool:
    """Tell what no daemon on a whole cluster says.

    One that starts warns of this mount's policies; and on a busy machine a quick cluster may elect a leader, which is
    told of Vault as a whole and not of a job.
    """
    elected = line["event"] == "store_failed" and "job" not in line and line.get("error") in ("standby", "unavailable")
    return line["level"] in ("warning", "error") and line["event"] != "started" and not elected


def heal(house, since: float, back: float, measured, what: str) -> None:
    lags = house.healed(since, back)
    measured(f"{what}: a new leader after {back - since:.1f} s; served after it: {lags}")
    assert max(lags.values()) <= LAG_S


@pytest.mark.answer("V8")
@pytest.mark.fault("F9")
def test_the_leader_is_killed(house, measured):
    for kills in range(1, house.rounds + 1):
        leader = house.lead(direct=False)
        since = house.fault(leader.kill)
        house.cluster.await_active()
        heal(house, since, time.time(), measured, "killed")
        alerts = [line for post in house.posts for line in post.daemon.lines(level="error")]
        assert kills > 1 or not alerts, "one needs nobody; several within a minute are one outage, which is told"
        house.cluster.mend()


@pytest.mark.answer("V9")
@pytest.mark.fault("F10")
def test_the_leader_is_frozen_and_goes_on_later(house, measured):
    for _ in range(house.rounds):
        leader = house.lead(direct=False)
        since = house.fault(leader.freeze)
        house.cluster.await_active(but=leader)
        heal(house, since, time.time(), measured, "frozen")
        leader.thaw()
        thawed = time.time()
        house.cluster.await_whole()
        heal(house, thawed, time.time(), measured, "thawed")


@pytest.mark.answer("V7")
def test_the_leader_steps_down(house, measured):
    for _ in range(house.rounds):
        leader = house.cluster.await_active()
        since = house.fault(leader.step_down)
        house.cluster.await_active(but=leader)
        heal(house, since, time.time(), measured, "stepped down")


@pytest.mark.fault("F8")
def test_the_leader_is_sealed(house, measured):
    """It stays sealed: the daemon behind the balancer is served by another node all the same."""
    for _ in range(house.rounds):
        leader = house.lead(direct=False)
        since = house.fault(leader.seal)
        house.cluster.await_active(but=leader)
        heal(house, since, time.time(), measured, "sealed")
        assert leader.health(PATIENT_S) == SEALED
        house.cluster.mend()


@pytest.mark.nightly
@pytest.mark.fault("F8")
def test_two_nodes_are_sealed(house, measured):
    """The leader by a hand, the other since it was killed and nobody unsealed it: the third alone serves nobody."""
    for _ in range(house.rounds):
        leader = house.lead(direct=False)
        since = house.fault(leader.seal)
        house.cluster.await_active(but=leader)
        house.direct_node.crash()
        house.await_due()
        assert house.direct_node.health(PATIENT_S) == leader.health(PATIENT_S) == SEALED
        asked = house.asked(since)
        leader.unseal()
        house.direct_node.unseal()
        house.cluster.await_active()
        heal(house, since, time.time(), measured, f"sealed until all were due ({max(asked.values())} requests a job)")
        assert max(asked.values()) <= 1


@pytest.mark.answer("V10")
@pytest.mark.fault("F11")
def test_the_quorum_is_lost_while_a_standby_answers(house, measured):
    for _ in range(house.rounds):
        leader = house.lead(direct=False)
        others = [node for node in house.cluster.nodes if node is not house.direct_node]
        since = house.fault(*(node.kill for node in others))
        house.await_due()
        assert house.direct_node.health(PATIENT_S) == STANDBY
        assert house.direct_node.api("GET", "auth/token/lookup-self"), "it answers reads"
        asked = house.asked(since)
        for node in others:
            node.start()
        house.cluster.await_active()
        heal(
            house, since, time.time(), measured, f"no quorum until all were due ({max(asked.values())} requests a job)"
        )
        assert max(asked.values()) <= 1
        assert leader in others


@pytest.mark.answer("V5")
@pytest.mark.fault("F23")
@pytest.mark.parametrize("wanted", [40, pytest.param(1000, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])])
def test_a_standby_is_asked_and_no_write_seems_lost(stale_site, measured, wanted):
    with stale_site.daemon() as daemon:
        for _ in range(wanted):
            line = daemon.wait_until(lambda line: line["event"] == "rotated" or is_alarm(line))
            assert line["event"] == "rotated", line
        assert daemon.stop() == 0
    rotations = {job: [line["version"] for line in daemon.lines("rotated", job=job)] for job in stale_site.jobs}
    measured(f"{sum(map(len, rotations.values()))} rotations by way of a standby, no write seemed lost")
    for job, versions in rotations.items():
        assert versions == list(range(1, stale_site.versions(job) + 1))
    assert not [line for line in daemon.lines() if is_alarm(line)]
    stale_site.check_outputs()


def test_nothing_was_lost_or_done_twice(house, measured):
    """The last of them all: the daemons end."""
    assert [post.daemon.stop() for post in house.posts] == [0, 0]
    rotations = sum(post.check() for post in house.posts)
    stats: Stats = house.providers[0].stats()
    measured(f"{rotations} rotations, {stats.refresh_reused} refresh tokens reused")
    assert stats.refresh_reused == 0
    for post in house.posts:
        post.site.outputs.append(post.log)
        post.site.check_outputs()
