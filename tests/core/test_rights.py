"""The least rights: what is on the list, and nothing besides."""

import pytest

from refresher import config
from refresher.core import rights
from refresher.core.rights import Mounts
from tests.config.conftest import VAULT, job, write

APPROLE = VAULT.replace(
    'method = "token", token = "file:/run/secrets/vault-token"',
    'method = "approle", role_id = "r", secret_id = "env:S"',
)
ROTATES = {"grant": '"refresh_token"', "refresh_token": '"vault:kv/clients/crm#refresh_token"'}


@pytest.fixture
def policies(tmp_path, monkeypatch):
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    monkeypatch.delenv("BAO_ADDR", raising=False)

    def of(text: str, **mounts: Mounts) -> dict[tuple[str, str], dict[str, str]]:
        settings = config.load(write(tmp_path, text))
        known = {name.strip("_"): one for name, one in mounts.items()}
        found = rights.policies(settings, known)
        return {(one.cluster, one.name): {p: " ".join(rights) for p, rights in one.rules.items()} for one in found}

    return of


SELF = {"auth/token/renew-self": "update"}
LOGIN = {"auth/token/revoke-self": "update", "auth/approle/role/+/secret-id/lookup": "update"}
ALL = "create update read"


def test_a_job_that_spends_nothing(policies):
    found = policies(APPROLE + job())
    assert found == {
        ("", "refresher"): {"secret/data/tokens/crm": ALL, "refresher/data/refresher/default/crm": ALL} | SELF | LOGIN,
        ("", "refresher-read-crm"): {"secret/data/tokens/crm": "read"},
    }


def test_an_irreplaceable_job_a_rename_and_a_reference(policies):
    found = policies(VAULT + '[instance]\nname = "blue"\n' + job(**ROTATES, moved_from='"old"'))
    assert found[("", "refresher-blue")] == SELF | {
        "auth/token/lookup-self": "read",
        "secret/data/tokens/crm": ALL,
        "refresher/data/refresher/blue/crm": ALL,
        "refresher/data/refresher/blue/old": "update read",
        "refresher/data/refresher/blue.journal": "create read",
        "kv/data/clients/crm": "read",
    }


def test_a_token_that_another_job_keeps_is_one_line(policies):
    exchange = {"grant": '"token_exchange"', "subject_token": '"job:crm"', "path": '"tokens/other"'}
    found = policies(APPROLE + job() + job("other", **exchange))
    assert found[("", "refresher")]["secret/data/tokens/crm"] == ALL


def test_several_clusters(policies):
    places = '[{ path = "tokens/crm" }, { cluster = "eu", path = "tokens/crm" }]'
    eu = '[clusters.eu]\naddress = "https://eu.example.com"\nauth = { method = "jwt", jwt = "env:J" }\n'
    read = {"client_secret": '"vault:us:kv/crm#s"'}
    found = policies(APPROLE + eu + eu.replace("eu", "us") + job(path=None, destinations=places, **read))
    assert {key: rules for key, rules in found.items() if key[0]} == {
        ("eu", "refresher"): {"secret/data/tokens/crm": ALL, "auth/token/revoke-self": "update"} | SELF,
        ("eu", "refresher-read-crm"): {"secret/data/tokens/crm": "read"},
        ("us", "refresher"): {"kv/data/crm": "read", "auth/token/revoke-self": "update"} | SELF,
    }


def test_mounts_as_they_are(policies):
    secret = {"client_secret": '"vault:team/kv/crm#s"'}
    known = Mounts({"secret": 1, "refresher": 2, "team": 2, "team/kv": 1})
    found = policies(APPROLE + job(**secret), _=known)
    rules = found[("", "refresher")]
    assert (rules["secret/tokens/crm"], rules["team/kv/crm"], rules["sys/capabilities-self"]) == (ALL, "read", "update")
    assert found[("", "refresher-read-crm")] == {"secret/tokens/crm": "read"}


def test_names_that_vault_would_make_one_stay_two(policies):
    names = [name for _, name in policies(APPROLE + job("CRM") + job("crm", path='"tokens/other"'))]
    assert len(set(map(str.lower, names))) == 3
    slashed = policies(APPROLE + job('"a/b"') + job("a-b", path='"tokens/other"'))
    assert len(slashed) == 3


def test_no_pattern_but_the_look_up_of_a_secret_id(policies):
    rules = policies(APPROLE + job(**ROTATES))[("", "refresher")]
    assert [path for path in rules if set("*+") & set(path)] == ["auth/approle/role/+/secret-id/lookup"]
