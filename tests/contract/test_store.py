"""What every SecretStore holds to: one suite for the fake and for a real OpenBao, KV v2 and v1."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.model import Absent, Location
from refresher.core.secret import Secret
from tests.fakes.store import FakeStore
from tests.servers.openbao import Space, vault_of
from tests.simulation.faults import Faults
from tests.simulation.vault import SimulatedVault


@dataclass
class Case:
    """A store, and what somebody else can do to it."""

    store: Any
    version: int
    mount: str
    put: Callable[[str, dict[str, object]], None]
    delete: Callable[[str], None]

    @property
    def place(self) -> Location:
        return Location(mount=self.mount, path="tokens/crm")

    def cas(self, version: int) -> int | None:
        return version if self.version == 2 else None


def fake(store: FakeStore) -> Case:
    store.denied.add("elsewhere/crm")

    def place(path: str) -> Location:
        return Location(mount="secret", path=path)

    def put(path: str, data: dict[str, object]) -> None:
        store.put(place(path), {k: v if isinstance(v, str) else json.dumps(v) for k, v in data.items()})

    return Case(
        store=store, version=store.version, mount="secret", put=put, delete=lambda path: store.delete(place(path))
    )


REAL = (pytest.mark.e2e,)


@pytest.fixture(
    params=[
        pytest.param("fake-2"),
        pytest.param("fake-1"),
        pytest.param("simulated"),
        pytest.param("space", marks=REAL, id="openbao-2"),
        pytest.param("space_v1", marks=REAL, id="openbao-1"),
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    if request.param.startswith("fake"):
        return fake(FakeStore(version=int(request.param[-1])))
    if request.param == "simulated":
        faults = Faults().changed(["all=0"])
        return fake(SimulatedVault(faults, Random(1), time.monotonic))  # noqa: S311  # no secret
    space: Space = request.getfixturevalue(request.param)
    store = vault_of(space, request.getfixturevalue("wire"))
    return Case(store=store, version=space.version, mount=space.mount, put=space.put, delete=space.delete)


TOKEN = {"access_token": Secret("AT-1"), "job": Secret("crm")}
OTHER = {"access_token": Secret("AT-2"), "job": Secret("crm")}


async def test_nothing_is_absent_and_can_be_written(case: Case):
    assert await case.store.read(case.place) == Absent(version=case.cas(0))

    written = await case.store.write(case.place, TOKEN, cas=case.cas(0))

    assert written.version == case.cas(1)
    found = await case.store.read(case.place)
    assert (found.version, dict(found.data), found.metadata) == (case.cas(1), TOKEN, {})


async def test_the_next_version_follows_the_last(case: Case):
    await case.store.write(case.place, TOKEN, cas=case.cas(0))

    written = await case.store.write(case.place, OTHER, cas=case.cas(1))

    assert written.version == case.cas(2)
    assert dict((await case.store.read(case.place)).data) == OTHER


async def test_the_identical_write_again_is_done_already(case: Case):
    first = await case.store.write(case.place, TOKEN, cas=case.cas(0))

    assert await case.store.write(case.place, TOKEN, cas=case.cas(0)) == first
    assert (await case.store.read(case.place)).version == case.cas(1)


async def test_a_foreign_write_is_overwritten_on_v1_alone(case: Case):
    await case.store.write(case.place, TOKEN, cas=case.cas(0))
    case.put(case.place.path, {"access_token": "foreign"})

    if case.version == 1:  # no check-and-set there: one writer only
        await case.store.write(case.place, OTHER, cas=None)
        assert dict((await case.store.read(case.place)).data) == OTHER
        return
    with pytest.raises(StoreConflictError) as caught:
        await case.store.write(case.place, OTHER, cas=1)
    assert caught.value.code == "cas"
    found = await case.store.read(case.place)
    assert (found.version, found.data["access_token"].reveal()) == (2, "foreign")


async def test_what_was_deleted_is_absent_at_its_version(case: Case):
    await case.store.write(case.place, TOKEN, cas=case.cas(0))
    case.delete(case.place.path)

    assert await case.store.read(case.place) == Absent(version=case.cas(1))
    assert (await case.store.write(case.place, TOKEN, cas=case.cas(1))).version == case.cas(2)


async def test_a_cas_that_does_not_fit_the_mount_says_look_again(case: Case):
    with pytest.raises(StoreConflictError) as caught:
        await case.store.write(case.place, TOKEN, cas=None if case.version == 2 else 0)

    assert caught.value.code == "mount_version"
    assert isinstance(await case.store.read(case.place), Absent)


async def test_a_proof_writes_nothing(case: Case):
    await case.store.prove(case.place)
    assert isinstance(await case.store.read(case.place), Absent)

    await case.store.write(case.place, TOKEN, cas=case.cas(0))
    await case.store.prove(case.place)

    found = await case.store.read(case.place)
    assert (found.version, dict(found.data)) == (case.cas(1), TOKEN)


@pytest.mark.parametrize("deed", ["read", "prove", "write"])
@pytest.mark.parametrize("where", ["denied", "mount"])
async def test_what_is_not_ours_is_refused(case: Case, deed: str, where: str):
    mount = case.mount if where == "denied" else "nowhere"
    place = Location(mount=mount, path="elsewhere/crm")

    with pytest.raises(StoreRefusedError) as caught:
        await {
            "read": lambda: case.store.read(place),
            "prove": lambda: case.store.prove(place),
            "write": lambda: case.store.write(place, TOKEN, cas=case.cas(0)),
        }[deed]()

    assert caught.value.code == where


async def test_values_come_back_as_they_went(case: Case):
    strange = {"nul": "a\0b", "newline": "a\r\nb", "empty": "", "emoji": "\U0001f511", "quote": '"\\'}

    await case.store.write(case.place, {k: Secret(v) for k, v in strange.items()}, cas=case.cas(0))

    found = await case.store.read(case.place)
    assert {k: v.reveal() for k, v in found.data.items()} == strange


@pytest.mark.parametrize(
    ("value", "code"), [("a\ud800b", "request"), ("x" * 257 * 1024, "too_large")], ids=["surrogate", "large"]
)
async def test_what_vault_would_spoil_is_refused(case: Case, value: str, code: str):
    with pytest.raises(StoreRefusedError) as caught:
        await case.store.write(case.place, {"access_token": Secret(value)}, cas=case.cas(0))

    assert caught.value.code == code
    assert isinstance(await case.store.read(case.place), Absent)


async def test_values_of_others_that_are_no_text_come_as_json(case: Case):
    case.put(case.place.path, {"pin": 1234, "on": True, "list": ["a"]})

    found = await case.store.read(case.place)

    assert {k: v.reveal() for k, v in found.data.items()} == {"pin": "1234", "on": "true", "list": '["a"]'}


async def test_a_target_is_split_where_the_mount_ends(case: Case):
    located = await case.store.locate(f"{case.mount}/tokens/crm")

    assert located == case.place
    with pytest.raises(StoreRefusedError):
        await case.store.locate("nowhere/tokens/crm")
    with pytest.raises(StoreRefusedError):
        await case.store.locate(case.mount)
