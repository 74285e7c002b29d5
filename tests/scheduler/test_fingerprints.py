"""The key of a fleet's fingerprints is one and the same, whatever jobs a node knows when it starts."""

from types import SimpleNamespace

import pytest

from refresher import turns
from refresher.core.model import Location
from refresher.core.secret import Secret
from tests.fakes.clock import VirtualClock
from tests.fakes.store import FakeStore
from tests.rotation.house import job
from tests.rotation.stage import IDENTITY
from tests.scheduler.nodes import install, settings_of
from tests.servers.postgres import PASSWORD, Base

pytestmark = pytest.mark.e2e


@pytest.fixture
async def fleet(base: Base) -> Base:
    await install(base)
    return base


@pytest.fixture
def stores():
    return {name: FakeStore(mounts=("secret",)) for name in ("prod", "lab")}


def on(cluster: str):
    place = Location(cluster=cluster, mount="secret", path="refresher/default")
    return job(
        f"on-{cluster}", states=place, destinations=(Location(cluster=cluster, mount="secret", path="tokens/x"),)
    )


async def key(fleet: Base, stores, *clusters: str) -> bytes:
    """Return the key of a node that starts with a job on each of `clusters`."""

    async def login():
        pass

    house = SimpleNamespace(
        settings=SimpleNamespace(
            jobs={one.name: one for one in map(on, clusters)}, postgres=settings_of(fleet, password=object())
        ),
        stores={name: stores[name] for name in clusters},
        identity=IDENTITY,
        login=login,
        clock=VirtualClock(),
        sink=None,
    )
    return await turns.key(house, lambda _: Secret(PASSWORD))


async def test_a_node_that_starts_after_a_job_was_added_has_the_same_key(fleet: Base, stores):
    assert await key(fleet, stores, "prod") == await key(fleet, stores, "prod", "lab")


async def test_where_the_chosen_cluster_is_gone_a_node_takes_that_of_its_own_jobs(fleet: Base, stores):
    before = await key(fleet, stores, "prod")
    assert await key(fleet, stores, "lab") not in (b"", before)


async def test_where_vault_lets_nobody_read_the_chosen_place_any_more_too(fleet: Base, stores):
    before = await key(fleet, stores, "prod")
    stores["prod"].denied.add("refresher/default.journal")
    assert await key(fleet, stores, "prod", "lab") not in (b"", before)


async def test_a_schema_of_before_that_keeps_nobody_from_starting(fleet: Base, stores):
    fleet.sql("ALTER TABLE refresher.refresher_schema DROP COLUMN fingerprints")
    before = await key(fleet, stores, "prod")
    await install(fleet)
    assert await key(fleet, stores, "prod") == before != b""
    assert await key(fleet, stores, "prod", "lab") == before
