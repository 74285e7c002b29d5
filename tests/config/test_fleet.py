"""[scheduler]: what several machines share their jobs by, and every mistake in it."""

from datetime import timedelta

import pytest

from refresher.config import fleet, load
from refresher.core.model import Reference
from refresher.core.settings import Postgres

DSN = "postgresql://refresher@pg.example.com/refresher?sslmode=verify-full"
VAULT = """
[vault]
address = "https://vault.example.com:8200"
auth = { method = "token", token = "file:/run/secrets/vault-token" }
"""
JOB = """
[jobs.crm]
provider = "exec"
command = ["/bin/true"]
path = "tokens/crm"
"""


@pytest.fixture
def settings(tmp_path):
    def read(table: str, job: str = JOB):
        file = tmp_path / "jobs.toml"
        file.touch(mode=0o600)
        file.write_text(f"[scheduler]\n{table}\n{VAULT}{job}")
        return load(file)

    return read


def test_one_machine_is_the_default(settings):
    assert settings("").postgres is None
    assert settings('kind = "local"').postgres is None


def test_all_keys(settings):
    read = settings(
        f'kind = "postgres"\n[scheduler.postgres]\ndsn = "{DSN}"\npassword = "credential:pg"\nschema = "eu"\n'
        'lease = "5s"\npoll = "1s"\nmax_in_flight = 400\nguard_idle = "2m"\nreconcile = "1m"\nremove_grace = "1h"\n'
        'log_keep = "10m"\nper_provider = { semansys = 20 }'
    )
    assert read.postgres == Postgres(
        dsn=DSN,
        password=Reference(kind="credential", target="pg"),
        schema="eu",
        lease=timedelta(seconds=5),
        poll=timedelta(seconds=1),
        max_in_flight=400,
        guard_idle=timedelta(minutes=2),
        reconcile=timedelta(minutes=1),
        remove_grace=timedelta(hours=1),
        log_keep=timedelta(minutes=10),
        per_provider={"semansys": 20},
    )
    assert read.warnings == ()


def test_the_least_is_the_defaults(settings):
    assert settings(f'kind = "postgres"\npostgres = {{ dsn = "{DSN}" }}').postgres == Postgres(dsn=DSN)


def test_programs_may_be_limited_as_a_provider_s_renewals_are(settings):
    read = settings(f'kind = "postgres"\npostgres = {{ dsn = "{DSN}", per_provider = {{ exec = 3 }} }}')
    assert read.postgres == Postgres(dsn=DSN, per_provider={"exec": 3})


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("postgres = {}", "postgres.dsn: is missing"),
        ('postgres = { dsn = "postgresql://a:CANARY@b/c" }', "postgres.dsn: must hold no password"),
        ('postgres = { dsn = "postgresql://b/c?password=CANARY" }', "postgres.dsn: must hold no password"),
        ('postgres = { dsn = "mysql://b/c" }', "postgres.dsn: must begin with postgresql://"),
        (f'postgres = {{ dsn = "{DSN}", schema = "A-B" }}', "postgres.schema: takes a-z"),
        (f'postgres = {{ dsn = "{DSN}", password = "vault:secret/pg#p" }}', "postgres.password: must not stand in"),
        (f'postgres = {{ dsn = "{DSN}", lease = "2s" }}', "postgres.poll: must be shorter than lease (2s)"),
        (f'postgres = {{ dsn = "{DSN}", max_in_flight = 3 }}', "postgres.max_in_flight: must be at least 40"),
        (
            f'postgres = {{ dsn = "{DSN}", guard_idle = "30s" }}',
            "postgres.guard_idle: must be longer than lease (30s): who is frozen is to keep its locks beyond that",
        ),
        (
            f'postgres = {{ dsn = "{DSN}", per_provider = {{ semansis = 3 }} }}',
            "postgres.per_provider: there is no provider 'semansis'; did you mean \"semansys\"?",
        ),
        (f'postgres = {{ dsn = "{DSN}", laese = "2s" }}', 'postgres.laese: unknown key; did you mean "lease"?'),
    ],
)
def test_a_mistake_is_one_line(mistakes, table, line):
    (told,) = mistakes(f'[scheduler]\nkind = "postgres"\n{table}\n{VAULT}{JOB}')
    assert told.startswith(f"jobs.toml: [scheduler] {line}")
    assert "CANARY" not in told


def test_without_the_extra_it_says_what_to_install(mistakes, monkeypatch):
    monkeypatch.setattr(fleet, "find_spec", lambda name: None if name == "pgqueuer" else object())
    (told,) = mistakes(f'[scheduler]\nkind = "postgres"\npostgres = {{ dsn = "{DSN}" }}\n{VAULT}{JOB}')
    assert told == ('jobs.toml: [scheduler] kind: "postgres" needs more libraries: pip install "refresher[cluster]"')


@pytest.mark.parametrize(
    ("table", "job", "line"),
    [
        (f'postgres = {{ dsn = "{DSN}" }}', JOB, "is not used while kind is"),
        ('kind = "postgres"\npostgres = { dsn = "postgresql://pg.example.com/x" }', JOB, "add ?sslmode=verify-full"),
        (
            f'kind = "postgres"\npostgres = {{ dsn = "{DSN}" }}',
            JOB + 'renew_before = "30s"\n',
            "a lost node costs 52s, which is longer than renew_before of crm",
        ),
    ],
)
def test_what_deserves_a_look(settings, table, job, line):
    (warning,) = settings(table, job).warnings
    assert line in warning


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machine_needs_no_certificate(settings, host):
    assert settings(f'kind = "postgres"\npostgres = {{ dsn = "postgresql://{host}/x" }}').warnings == ()
