"""No two jobs write one path, and none writes among the state records, however the path is cut."""

import pytest

from refresher.core.model import Location
from tests.config.conftest import VAULT, job

EU = """
[clusters.eu]
address = "https://eu.example.com"
mount = "kv"
auth = { method = "token", token = "file:/x" }
"""
SAME = EU.replace("eu", "twin").replace("https://twin.example.com", "HTTPS://vault.EXAMPLE.com:8200/")


def other(*destinations: str) -> str:
    return job("other", path=None, destinations=f"[{', '.join(destinations)}]")


@pytest.mark.parametrize(
    "table",
    [
        '{ path = "tokens/crm" }',
        '{ mount = "secret", path = "tokens/crm" }',
        '{ mount = "secret/tokens", path = "crm" }',
        '{ cluster = "twin", mount = "secret", path = "tokens/crm" }',
    ],
)
def test_two_jobs_write_the_same_path(mistakes, table):
    (line,) = mistakes(VAULT + SAME + job() + other(table))
    assert line == "jobs.toml: [jobs.other] destinations[0]: [jobs.crm] writes this path already"


def test_a_job_names_its_own_path_twice(mistakes):
    (line,) = mistakes(VAULT + other('{ path = "a" }', '{ path = "b" }', '{ path = "a" }'))
    assert line == "jobs.toml: [jobs.other] destinations[2]: the job itself writes this path already"


@pytest.mark.parametrize(
    "table", ['{ mount = "other", path = "tokens/crm" }', '{ cluster = "eu", mount = "secret", path = "tokens/crm" }']
)
def test_other_mounts_and_clusters_are_other_places(load, table):
    assert len(load(VAULT + EU + job() + other(table)).jobs) == 2


def test_another_namespace_is_another_place(load):
    twin = SAME + 'namespace = "ops"\n'
    assert (
        len(load(VAULT + twin + job() + other('{ cluster = "twin", mount = "secret", path = "tokens/crm" }')).jobs) == 2
    )


@pytest.mark.parametrize(
    "table",
    [
        '{ mount = "refresher", path = "refresher" }',
        '{ mount = "refresher", path = "refresher/default/crm" }',
        '{ mount = "refresher/refresher", path = "x" }',
        '{ cluster = "eu", path = "refresher/x" }',
    ],
)
def test_among_the_state_records(mistakes, table):
    (line,) = mistakes(VAULT + EU + job() + other(table))
    assert line.endswith("destinations[0]: stands under state_path, among refresh tokens that no reader may see")


def test_beside_the_state_records(load):
    assert load(VAULT + other('{ mount = "refresher", path = "refresher-tokens/x" }', '{ path = "refresher/x" }')).jobs


@pytest.mark.parametrize(
    ("tables", "state"),
    [
        (['{ path = "a" }'], Location(mount="refresher", path="refresher/blue/other")),
        (
            ['{ cluster = "eu", path = "a" }', '{ path = "a" }'],
            Location(mount="refresher", path="refresher/blue/other"),
        ),
        (['{ cluster = "eu", path = "a" }'], Location(cluster="eu", mount="kv", path="refresher/blue/other")),
        (
            ['{ cluster = "eu", path = "a" }', '{ cluster = "asia", path = "a" }'],
            Location(cluster="asia", mount="kv", path="kept/blue/other"),
        ),
    ],
)
def test_where_the_state_record_stands(load, tables, state):
    asia = EU.replace("eu", "asia") + 'state_path = "kept"\n'
    instance = '[instance]\nname = "blue"\n'
    for order in (tables, tables[::-1]):
        assert load(VAULT + EU + asia + instance + other(*order)).jobs["other"].state == state


SECRET = '"vault:secret/clients/crm#client_secret"'
READS = "reads its client_secret here, which a token would take the place of: name another"


def test_a_token_never_takes_the_place_of_the_job_s_own_secret(mistakes):
    (line,) = mistakes(VAULT + job(client_secret=SECRET, path='"clients/crm"', adopt="true"))
    assert line == f"jobs.toml: [jobs.crm] path: the job itself {READS}"


@pytest.mark.parametrize(
    "table",
    [
        '{ mount = "secret/clients", path = "crm" }',
        '{ cluster = "twin", mount = "secret", path = "clients/crm" }',
    ],
)
@pytest.mark.parametrize("secret", [SECRET, f'["file:/new", {SECRET}]', SECRET.replace("vault:", "vault:twin:")])
def test_nor_of_another_job_s(mistakes, table, secret):
    (line,) = mistakes(VAULT + SAME + job(client_secret=secret) + other('{ path = "a" }', table))
    assert line == f"jobs.toml: [jobs.other] destinations[1]: [jobs.crm] {READS}"


def test_nor_of_one_that_defaults_name(mistakes):
    text = VAULT + f"[defaults]\nclient_secret = {SECRET}\n" + job(client_secret=None, path='"clients/crm"')
    assert mistakes(text) == [f"jobs.toml: [jobs.crm] path: the job itself {READS}"]


@pytest.mark.parametrize(
    ("field", "writer"),
    [
        ("access_token", {}),
        ("id_token", {"keep": '["id_token"]'}),
        ("jwt", {"fields": '{ jwt = "{access_token}" }'}),
    ],
)
def test_a_token_that_another_job_reads_is_meant_to_be_read(load, mistakes, field, writer):
    def reads(field: str) -> str:
        exchange = {"grant": '"token_exchange"', "subject_token": f'"vault:secret/tokens/crm#{field}"'}
        return VAULT + job(**writer) + job("next", path='"tokens/next"', **exchange)

    assert len(load(reads(field)).jobs) == 2
    (line,) = mistakes(reads("password"))
    assert line.startswith("jobs.toml: [jobs.crm] path: [jobs.next] reads its subject_token here")


def test_in_shadow_mode_a_secret_may_stand_where_somebody_else_writes(load):
    assert load(VAULT + job(client_secret=SECRET, path='"clients/crm"', shadow="true")).jobs


def test_a_secret_in_another_cluster_is_another(load):
    eu = SECRET.replace("vault:", "vault:eu:")
    assert load(VAULT + EU + job(client_secret=eu, path='"clients/crm"')).jobs


def test_a_state_record_s_path_may_be_too_long(mistakes):
    (line,) = mistakes(VAULT + job("a" * 500))
    assert line.endswith("]: its state record's path, refresher/..., is longer than 512 characters")


def test_a_reader_s_policy_may_show_refresh_tokens(load):
    shared = VAULT.replace('state_mount = "refresher"', "")
    password = {"grant": None, "token_url": None, "username": '"u"', "password": '"env:P"'}
    semansys = job(**password, provider='"semansys"', environment='"pre"')
    (warning,) = load(shared + semansys + job("b", path='"tokens/b"')).warnings
    assert (
        '[vault] state_mount: refresh tokens stand in the mount that readers read: a policy on "secret/data/*"'
        in warning
    )
    assert load(VAULT + semansys).warnings == ()
    assert load(shared + job()).warnings == ()
