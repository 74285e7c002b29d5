"""The schema of a fleet on a real PostgreSQL: made, repeated, checked; what a node may do and what not."""

import json

import pytest

from tests.servers.postgres import PASSWORD, ROLE, Base

pytestmark = pytest.mark.e2e

JOBS = """
[vault]
address = "https://vault.example.com:8200"
auth = {{ method = "token", token = "env:T" }}
[scheduler]
kind = "postgres"
postgres = {{ dsn = "{dsn}", password = "file:{secret}" }}
[jobs.crm]
provider = "exec"
command = ["/bin/true"]
path = "tokens/crm"
"""


@pytest.fixture
def jobs(tmp_path, base: Base):
    secret, file = tmp_path / "postgres.secret", tmp_path / "jobs.toml"
    for one in (secret, file):
        one.touch(mode=0o600)
    secret.write_text(PASSWORD)
    file.write_text(JOBS.format(dsn=base.node, secret=secret))
    return file


def cluster(cli, jobs, *words):
    return cli("cluster", *words, "--config", jobs)


def test_it_is_made_checked_and_made_again(cli, jobs, base: Base):
    code, out, err = cluster(cli, jobs, "verify")
    assert (code, err) == (1, "")
    assert out == "schema refresher: there is none: run refresher cluster install\n"
    code, out, err = cluster(cli, jobs, "install", "--dsn", base.owner)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "schema refresher: made",
        "index refresher_due: made",
        f"role {ROLE}: may use it, and nothing else",
    ]
    code, out, _ = cluster(cli, jobs, "verify")
    assert (code, out) == (0, "schema refresher: as it should be\n")
    assert cluster(cli, jobs, "upgrade", "--dsn", base.owner).out == f"role {ROLE}: may use it, and nothing else\n"
    base.sql("DROP INDEX refresher.refresher_due; DROP TABLE refresher.refresher_jobs")
    code, out, _ = cluster(cli, jobs, "verify", "--json")
    assert code == 1
    assert [json.loads(line)["line"].partition(":")[0] for line in out.splitlines()] == [
        "table refresher.refresher_jobs",
        "index refresher_due",
    ]
    cluster(cli, jobs, "upgrade", "--dsn", base.owner)
    assert cluster(cli, jobs, "verify").code == 0


def test_a_node_may_use_it_and_nothing_else(cli, jobs, base: Base):
    cluster(cli, jobs, "install", "--dsn", base.owner)
    code, _, err = cluster(cli, jobs, "install")
    assert code == 1
    assert err.startswith("refresher cluster: PostgreSQL: InsufficientPrivilegeError (42501): run refresher cluster ")
    assert cluster(cli, jobs, "nodes").code == 1
    rights = base.sql(
        f"SELECT has_schema_privilege('{ROLE}', 'refresher', 'CREATE'),"  # noqa: S608  # names of our own
        f" has_table_privilege('{ROLE}', 'refresher.pgqueuer', 'TRUNCATE'),"
        f" (SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = '{ROLE}')"
    )
    assert rights == "f|f|f"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["verify", "--dsn", "postgresql://owner:CANARY@127.0.0.1/x"], "--dsn must hold no password"),
        (["verify", "--dsn", "mysql://x"], "--dsn must begin with postgresql://"),
        (["install", "--dsn", "{owner}", "--role", "nobody"], "there is no role nobody: CREATE ROLE"),
        (["verify", "--dsn", "postgresql://owner@127.0.0.1:1/x"], "PostgreSQL: ConnectionRefusedError"),
    ],
)
def test_what_goes_wrong_is_one_line(cli, jobs, base: Base, words, why):
    code, _, err = cluster(cli, jobs, *(word.format(owner=base.owner) for word in words))
    assert code == 1
    assert err.startswith(f"refresher cluster: {why}")
    assert err.count("\n") == 1
    assert "CANARY" not in err
