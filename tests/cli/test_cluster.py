"""The schema of a fleet on a real PostgreSQL: made, repeated, checked; what a node may do and what not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

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
        "index refresher_jobs_by_update: made",
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
        "index refresher_jobs_by_update",
    ]
    cluster(cli, jobs, "upgrade", "--dsn", base.owner)
    assert cluster(cli, jobs, "verify").code == 0


def test_what_an_older_refresher_made_is_brought_up_to_date(cli, jobs, base: Base):
    cluster(cli, jobs, "install", "--dsn", base.owner)
    base.sql(
        "DROP TABLE refresher.refresher_schema; ALTER TABLE refresher.refresher_jobs DROP COLUMN orders;"
        " ALTER TABLE refresher.refresher_nodes DROP COLUMN manager; DROP INDEX refresher.refresher_jobs_by_update"
    )
    assert cluster(cli, jobs, "verify").code == 1
    assert "index refresher_jobs_by_update: made" in cluster(cli, jobs, "upgrade", "--dsn", base.owner).out
    assert cluster(cli, jobs, "verify").code == 0
    assert cluster(cli, jobs, "nodes").out == "no node has been here\n"


def test_what_a_newer_refresher_made_is_left_alone(cli, jobs, base: Base):
    cluster(cli, jobs, "install", "--dsn", base.owner)
    base.sql("UPDATE refresher.refresher_schema SET version = 9, release = '9.0.0'")
    assert cluster(cli, jobs, "verify").code == 0, "this release can use it"
    code, _, err = cluster(cli, jobs, "upgrade", "--dsn", base.owner)
    assert (code, err) == (
        1,
        "refresher cluster: schema refresher is refresher 9.0.0's, which is newer than this one: it stays\n",
    )
    base.sql("UPDATE refresher.refresher_schema SET oldest = 9")
    code, out, _ = cluster(cli, jobs, "verify")
    assert code == 1
    assert out.endswith("which can't use it: install 9.0.0 or newer here\n")


def test_an_upgrade_keeps_nobody_waiting_while_a_table_is_in_use(cli, jobs, base: Base):
    """A long transaction has the table; who waits for it exclusively would keep every node from it."""
    cluster(cli, jobs, "install", "--dsn", base.owner)
    base.sql("ALTER TABLE refresher.refresher_jobs DROP COLUMN orders")
    busy = "BEGIN; LOCK TABLE refresher.refresher_jobs IN ACCESS SHARE MODE; SELECT pg_sleep(8); COMMIT"
    with ThreadPoolExecutor(2) as pool:
        using = pool.submit(base.sql, busy)
        held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessShareLock' AND relation = 'refresher.refresher_jobs'"
        while base.sql(f"{held}::regclass") == "0":
            assert not using.done()
            time.sleep(0.05)
        upgrade = pool.submit(cluster, cli, jobs, "upgrade", "--dsn", base.owner)
        longest = 0.0
        while not using.done():
            began = time.monotonic()
            base.sql("SELECT count(*) FROM refresher.refresher_jobs")
            longest = max(longest, time.monotonic() - began)
        assert upgrade.result().code == 0
    assert longest < 6, "a second for the lock, and some for a busy machine: not the whole eight"
    assert cluster(cli, jobs, "verify").code == 0


def test_the_nodes_are_a_table_of_a_hundred_columns(cli, jobs, base: Base):
    cluster(cli, jobs, "install", "--dsn", base.owner)
    base.sql(
        "INSERT INTO refresher.refresher_nodes (holder, host, version, jobs, digest, in_hand, started, seen) VALUES"
        " ('0123456789abcdef', 'refresher-0', '0.1.0', 1000000, 'aaaaaaaaaaaaaaaa', 120, now() - interval '3 d', now())"
        ","
        " ('fedcba9876543210', repeat('long', 20), '0.1.10', 999999, 'bbbbbbbbbbbbbbbb', 0, now(), now()),"
        " ('00000000000000aa', 'refresher-2', '0.1.0', 9, 'bbbbbbbbbbbbbbbb', 0, now(), now() - interval '1 h')"
    )
    code, out, _ = cluster(cli, jobs, "nodes")
    lines = out.splitlines()
    assert code == 1, "one is gone"
    assert max(map(len, lines)) <= 100
    assert lines[0].split("  ")[0] == "state"
    assert [line.split()[0] for line in lines[1:4]].count("alive") == 2
    assert lines[4].startswith("2 of 3 nodes: refresher-2 is gone; their jobs differ: reload those")
    _, out, _ = cluster(cli, jobs, "nodes", "--json")
    known = {one["holder"]: one for one in map(json.loads, out.splitlines())}
    assert known["0123456789abcdef"].keys() == {
        "holder", "host", "version", "alive", "started", "seen", "jobs", "config", "in_hand",
    }  # fmt: skip
    assert known["00000000000000aa"]["alive"] is False
    base.sql("DELETE FROM refresher.refresher_nodes WHERE host = 'refresher-2'")
    assert cluster(cli, jobs, "nodes").code == 0


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
