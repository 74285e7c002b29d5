"""[vault] and [clusters.NAME]."""

from pathlib import Path

import pytest

from refresher.core.model import Channel, Reference
from refresher.core.settings import Auth, Cluster
from tests.config.conftest import VAULT, job

ADDRESS = 'address = "https://vault.example.com:8200"\n'
WRAPPED = 'wrapped_secret_id = "env:W"'
TOKEN = 'auth = { method = "token", token = "file:/run/secrets/vault-token" }\n'


def test_every_key(load):
    text = f"""
[vault]
{ADDRESS}mount = "kv"
namespace = "ops/eu"
ca_file = "/etc/ssl/ca.pem"
auth = {{ method = "approle", role_id = "r", secret_id = "credential:s", mount = "machines" }}
[clusters.eu]
address = "https://eu.example.com/"
{TOKEN}
"""
    clusters = load(text + job()).clusters
    assert clusters[""] == Cluster(
        address="https://vault.example.com:8200",
        mount="kv",
        namespace="ops/eu",
        ca_file=Path("/etc/ssl/ca.pem"),
        auth=Auth(method="approle", role_id="r", secret_id=Reference(kind="credential", target="s"), mount="machines"),
    )
    assert (clusters["eu"].name, clusters["eu"].address, clusters["eu"].mount) == (
        "eu",
        "https://eu.example.com",
        "secret",
    )


@pytest.mark.parametrize(
    ("table", "auth"),
    [
        (
            'method = "approle", role_id = "r", wrapped_secret_id = "file:/w"',
            Auth(method="approle", role_id="r", secret_id=Reference(kind="file", target="/w"), wrapped=True),
        ),
        (
            'method = "kubernetes", role = "r"',
            Auth(
                method="kubernetes",
                role="r",
                jwt=Reference(kind="file", target="/var/run/secrets/kubernetes.io/serviceaccount/token"),
                mount="kubernetes",
            ),
        ),
        (
            'method = "jwt", jwt = "env:J", mount = "jwt/eu"',
            Auth(method="jwt", jwt=Reference(kind="env", target="J"), mount="jwt/eu"),
        ),
        (
            'method = "cert", cert_file = "/c.pem", key_file = "/c.key", role = "r"',
            Auth(method="cert", cert_file=Path("/c.pem"), key_file=Path("/c.key"), role="r", mount="cert"),
        ),
    ],
)
def test_each_way_to_log_in(load, table, auth):
    cluster = load(f"[vault]\n{ADDRESS}auth = {{ {table} }}\n" + job()).clusters[""]
    assert cluster.auth == auth
    assert cluster.channel == Channel(cert_file=auth.cert_file, key_file=auth.key_file)


def test_the_address_may_come_from_the_environment(load, monkeypatch):
    monkeypatch.setenv("BAO_ADDR", "https://bao.example.com/")
    assert load("[vault]\n" + TOKEN + job()).clusters[""].address == "https://bao.example.com"
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:8200")
    assert load("[vault]\n" + TOKEN + job()).clusters[""].address == "http://127.0.0.1:8200"
    assert load(VAULT + job()).clusters[""].address == "https://vault.example.com:8200"


def test_an_address_from_the_environment_is_held_to_the_same_rules(mistakes, monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "http://user:hunter2@vault.example.com")
    (line,) = mistakes("[vault]\n" + TOKEN + job())
    assert line.startswith("jobs.toml: [vault] address: $VAULT_ADDR stands in for it and must hold no user name")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("", "[vault]: this table is missing"),
        ("vault = 3", "vault: must be a table"),
        ("[vault]\n" + TOKEN, "[vault] address: is required, here or in $VAULT_ADDR"),
        ("[vault]\n" + ADDRESS, "[vault] auth: is required, e.g. auth = {"),
        (f"[vault]\n{ADDRESS}auth = {{}}", "[vault] auth.method: is required"),
        (f"[vault]\n{ADDRESS}auth = 3", "[vault] auth: must be a table"),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "tokn" }}',
            '[vault] auth.method: must be "token", "approle", "kubernetes", "jwt" or "cert"; did you',
        ),
        (f'[vault]\n{ADDRESS}auth = {{ method = "token" }}', "[vault] auth.token: is required with method token"),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "approle", role_id = "r" }}',
            "[vault] auth.secret_id: is required with method approle",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "token", token = "env:T", role_id = "r" }}',
            "[vault] auth.role_id: is not used with method token: take it out",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "token", token = "vault:secret/x#y" }}',
            "[vault] auth.token: a login can't stand in the Vault that it opens",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "token", token = "hvs.x" }}',
            "[vault] auth.token: a secret stands here",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "approle", role_id = "r", secret_id = "env:S", {WRAPPED} }}',
            "[vault] auth.wrapped_secret_id: stands beside secret_id: write one of the two",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "kubernetes" }}',
            "[vault] auth.role: is required with method kubernetes",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "jwt", jwt = "vault:secret/x#y" }}',
            "[vault] auth.jwt: a login can't stand in the Vault that it opens",
        ),
        (
            f'[vault]\n{ADDRESS}auth = {{ method = "cert", key_file = "/k" }}',
            "[vault] auth.cert_file: is required with method cert",
        ),
        (
            '[vault]\naddress = "http://127.0.0.1:8200"\nauth = { method = "cert", cert_file = "/c" }',
            "[vault] address: must be https with method cert",
        ),
        (f'[vault]\n{ADDRESS}auth = {{ method = "token", tokn = "env:T" }}', "[vault] auth.tokn: unknown key; did you"),
        (VAULT + 'ca_file = "ca.pem"', "[vault] ca_file: must be an absolute path"),
        (VAULT + 'namespace = "a//b"', "[vault] namespace: takes only"),
        (VAULT + f"[clusters.eu]\n{TOKEN}", "[clusters.eu] address: is required"),
        (VAULT + f"[clusters.eu]\n{ADDRESS}", "[clusters.eu] auth: is required"),
        (VAULT + f'[clusters."a/b"]\n{ADDRESS}{TOKEN}', '[clusters."a/b"]: the name takes only'),
        (VAULT + "[clusters]\neu = 1", "[clusters.eu]: must be a table"),
        (VAULT + "clusters = []", "[vault] clusters: unknown key"),
    ],
)
def test_one_mistake_is_one_line(mistakes, table, line):
    (told,) = mistakes(table + "\n" + job())
    assert told.startswith(f"jobs.toml: {line}")


def test_the_environment_stands_in_for_the_default_cluster_alone(mistakes, monkeypatch):
    monkeypatch.setenv("VAULT_ADDR", "https://vault.example.com")
    assert mistakes(VAULT + f"[clusters.eu]\n{TOKEN}" + job()) == ["jobs.toml: [clusters.eu] address: is required"]


def test_a_cluster_that_could_not_be_read_is_still_known(mistakes):
    text = VAULT + "[clusters]\neu = 1\n" + job(client_secret='"vault:eu:kv/a#b"')
    assert mistakes(text) == ["jobs.toml: [clusters.eu]: must be a table"]


def test_a_cluster_is_named_by_its_nearest(mistakes):
    eu = f"[clusters.europe]\n{ADDRESS}{TOKEN}"
    (line,) = mistakes(VAULT + eu + job(client_secret='"vault:europ:kv/a#b"'))
    assert line.endswith('names a cluster that has no table [clusters.NAME]; did you mean "europe"?')
