"""References of every kind: one read per path, and each reason why one can't be read."""

import pytest

from refresher.core.errors import StoreUnavailableError, UnreadableReferenceError
from refresher.core.model import Location, Reference
from refresher.vault import ReferenceReader
from tests.fakes.store import FakeStore
from tests.vault.builders import REFERENCE, Local

CLIENT = Location(mount="team/kv", path="clients/crm")


def vault(target: str = "team/kv/clients/crm", field: str = "client_secret", cluster: str = "") -> Reference:
    return Reference(kind="vault", target=target, field=field, cluster=cluster)


@pytest.fixture
def store() -> FakeStore:
    store = FakeStore(mounts=("secret", "team/kv"))
    store.put(CLIENT, {"client_secret": "CANARY", "password": "P", "empty": ""})
    return store


@pytest.fixture
def reader(store: FakeStore) -> ReferenceReader:
    return ReferenceReader(Local("local"), {"": store, "eu": store})


async def why(reader: ReferenceReader, reference: Reference) -> str:
    with pytest.raises(UnreadableReferenceError) as caught:
        await reader.resolve({"client_secret": reference})
    assert "CANARY" not in str(caught.value)
    return str(caught.value)


async def test_members_of_one_secret_are_read_together(reader, store):
    found = await reader.resolve({"client_secret": vault(), "password": vault(field="password"), "token": REFERENCE})

    assert {name: secret.reveal() for name, secret in found.items()} == {
        "client_secret": "CANARY",
        "password": "P",
        "token": "local",
    }
    assert store.calls == [("read", CLIENT)]


async def test_each_cluster_and_path_is_read_for_itself(reader, store):
    other = Location(mount="secret", path="b")
    store.put(other, {"client_secret": "other"})

    found = await reader.resolve({"a": vault(), "b": vault("secret/b"), "c": vault(cluster="eu")})

    assert [secret.reveal() for secret in found.values()] == ["CANARY", "other", "CANARY"]
    assert store.calls == [("read", CLIENT), ("read", other), ("read", CLIENT)]


async def test_a_changed_secret_is_picked_up(reader, store):
    await reader.resolve({"a": vault()})
    store.put(CLIENT, {"client_secret": "new"})

    assert (await reader.resolve({"a": vault()}))["a"].reveal() == "new"


async def test_what_is_not_there_is_named(reader, store):
    assert await why(reader, vault(field="secret")) == (
        "vault:team/kv/clients/crm#secret: the secret has no member 'secret'"
    )
    assert (await why(reader, vault(field="empty"))).endswith("#empty: it is empty")
    assert (await why(reader, vault(cluster="us"))).endswith("there is no such cluster")
    assert (await why(reader, vault("secret/none"))).endswith("there is no such secret in Vault, or it was deleted")
    store.delete(CLIENT)
    assert (await why(reader, vault())).endswith("there is no such secret in Vault, or it was deleted")


async def test_a_local_one_that_cannot_be_read_is_named():
    assert await why(ReferenceReader(Local(None), {}), REFERENCE) == "file:/run/vault: there is no such file"


async def test_a_vault_that_is_away_says_so(reader, store):
    store.away = True

    with pytest.raises(StoreUnavailableError):
        await reader.resolve({"a": vault()})
