"""What a reader copies works as it stands."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.core.model import Location
from refresher.web.snippets import snippets
from tests.web.stage import CLUSTER

PLACE = Location(mount="kv/team", path="tokens/crm.eu")


def texts(cluster=CLUSTER, place=PLACE, *, version_1=False, promised=timedelta(minutes=4), **more) -> dict[str, str]:
    return {one.title: one.text for one in snippets(cluster, place, version_1=version_1, promised=promised, **more)}


def test_address_mount_and_path_are_filled_in():
    made = texts()
    assert (
        "https://vault.example.com:8200/v1/kv/team/data/tokens/crm.eu | jq -r .data.data.access_token" in made["curl"]
    )
    assert "-mount=kv/team -field=access_token tokens/crm.eu" in made["vault"]
    assert '{{ with secret "kv/team/data/tokens/crm.eu" }}'.replace('"', '\\"') in made["Vault Agent template"]
    assert "key: tokens/crm.eu" in made["External Secrets"]
    assert re.search(r"^  name: tokens-crm.eu$", made["External Secrets"], re.MULTILINE)


def test_a_mount_without_versions_is_read_without_data():
    made = texts(version_1=True)
    assert "/v1/kv/team/tokens/crm.eu | jq -r .data.access_token" in made["curl"]
    assert "kv.v1.read_secret" in made["Python (hvac)"]
    assert "{{ .Data.access_token }}" in made["Vault Agent template"]


def test_a_namespace_is_named():
    made = texts(replace(CLUSTER, namespace="ops/eu"))
    assert "-H 'X-Vault-Namespace: ops/eu'" in made["curl"]
    assert "-namespace=ops/eu" in made["vault"]
    assert 'namespace="ops/eu"' in made["Python (hvac)"]


def test_a_member_of_another_name_is_taken():
    made = texts(field="api-token")
    assert """| jq -r '.data.data["api-token"]'""" in made["curl"]
    assert "-field=api-token " in made["vault"]
    assert 'token = answer["data"]["data"]["api-token"]' in made["Python (hvac)"]
    assert '}}{{ index .Data.data \\"api-token\\" }}{{' in made["Vault Agent template"]
    assert "property: api-token" in made["External Secrets"]
    assert not any("access_token" in text for text in made.values())
    assert "{{ .Data.data.token }}" in texts(field="token")["Vault Agent template"]


@pytest.mark.parametrize(("minutes", "every"), [(4, "120s"), (60, "300s"), (None, "300s"), (0.01, "1s")])
def test_readers_look_again_within_half_of_what_they_may_count_on(minutes, every):
    promised = None if minutes is None else timedelta(minutes=minutes)
    assert f'interval = "{every}"' in texts(promised=promised)["Vault Agent template"]
    assert f"refreshInterval: {every}" in texts(promised=promised)["External Secrets"]


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["space", "space_v1"])
def test_python_reads_the_token(request, kind, monkeypatch):
    space = request.getfixturevalue(kind)
    place = space.place("tokens/crm")
    space.put("tokens/crm", {"access_token": "AT-1"})
    made = texts(space.cluster, place, version_1=kind == "space_v1")["Python (hvac)"]
    monkeypatch.setenv("VAULT_TOKEN", space.server.root_token.reveal())
    found: dict[str, object] = {}
    exec(compile(made, "snippet", "exec"), found)  # noqa: S102  # as the reader does
    assert found["token"] == "AT-1"
