"""The small tables, the shipped example, and mistakes in their order."""

from datetime import timedelta
from pathlib import Path

import pytest

from refresher import config
from refresher.core.settings import Limits, LogSettings
from tests.config.conftest import VAULT, job, write

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "jobs.toml"


def test_defaults(load, tmp_path):
    settings = load(VAULT + job())
    assert (settings.file, settings.instance, settings.state_dir) == (tmp_path / "jobs.toml", "default", None)
    assert (settings.limits, settings.log) == (Limits(per_host=4, total=16), LogSettings(level="info", format="auto"))
    assert settings.drift_check == timedelta(minutes=15)
    assert settings.warnings == ()


def test_every_small_table(load):
    settings = load(
        'drift_check = "1h"\n[instance]\nname = "blue"\n[state]\ndir = "/srv/refresher"\n'
        "[limits]\nper_host = 2\ntotal = 8\n"
        '[log]\nlevel = "debug"\nformat = "json"\n[web]\nlisten = ""\n[scheduler]\n[hooks]\n' + VAULT + job()
    )
    assert (settings.instance, settings.state_dir) == ("blue", Path("/srv/refresher"))
    assert (settings.limits, settings.log) == (Limits(per_host=2, total=8), LogSettings(level="debug", format="json"))
    assert settings.drift_check == timedelta(hours=1)


def test_a_total_below_the_usual_share_of_a_host_lowers_it(load):
    assert load("[limits]\ntotal = 2\n" + VAULT + job()).limits == Limits(per_host=2, total=2)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("drift_check = 15", "drift_check: must be a duration such as"),
        ("drift_chek = 15", 'drift_chek: unknown table or key; did you mean "drift_check"?'),
        ("include = 3", "include: must be a list"),
        ("include = [3]", "include[0]: must be a text in quotes"),
        ('include = [{ files = "x" }]', "include: there is no file x"),
        ("include = [{ allow = {} }]", "include[0].files: is required"),
        (
            'include = [{ files = "x*", allow = { host = [] } }]',
            'include[0].allow.host: unknown key; did you mean "hosts"',
        ),
        ('include = [{ files = "x*", allow = [] }]', "include[0].allow: must be a table"),
        (
            'include = [{ files = "x*", allow = { secrets = ["hunter2"] } }]',
            "include[0].allow.secrets[0]: must be a patt",
        ),
        (
            'include = [{ files = "x*", allow = { hosts = ["https://a"] } }]',
            "include[0].allow.hosts[0]: must be a host",
        ),
        ('include = [{ files = "x*", allow = { paths = "a/*" } }]', "include[0].allow.paths: must be a list"),
        ("[limits]\nper_host = 0", "[limits] per_host: must be at least 1"),
        ("[limits]\ntotal = 1001", "[limits] total: must be at most 1000"),
        ("[limits]\ntotal = 1.5", "[limits] total: must be a whole number"),
        ('[limits]\ntotal = "4"', "[limits] total: must be a whole number"),
        ("[limits]\ntotal = true", "[limits] total: must be a whole number"),
        ("[limits]\nper_host = 20", "[limits] per_host: is more than total (16)"),
        ("[limits]\nper_hots = 2", '[limits] per_hots: unknown key; did you mean "per_host"?'),
        ('[instance]\nname = ""', "[instance] name: must not be empty"),
        ('[instance]\nid = "x"', '[instance] id: only the key "name" may stand here'),
        ('[state]\ndir = "state"', "[state] dir: must be an absolute path"),
        ('[log]\nlevel = "trace"', '[log] level: must be "debug", "info", "warning" or "error"'),
        ('[log]\nformat = "yaml"', '[log] format: must be "auto", "json" or "text"'),
        ("[web]\nlisten = 9377", "[web] listen: must be HOST:PORT"),
        ('[web]\nlistn = ""', '[web] listn: unknown key; did you mean "listen"?'),
        ("[web]\ntls = true", "[web] tls: isn't supported by this version"),
        (
            '[scheduler]\nkind = "postgres"',
            '[scheduler] postgres.dsn: is missing: kind "postgres" needs to know where it is',
        ),
        ('[scheduler]\nkind = "redis"', '[scheduler] kind: must be "local" or "postgres"'),
        ("[hooks]\nafter = []", "[hooks.after]: must be a table"),
        ("[job.crm]", '[job]: unknown table or key; did you mean "jobs"?'),
        ("[engine]", "[engine]: unknown table or key"),
    ],
)
def test_one_mistake_is_one_line(mistakes, text, line):
    (told,) = mistakes(text + "\n" + VAULT + job())
    assert told.startswith(f"jobs.toml: {line}")


@pytest.mark.parametrize("text", ["", "[jobs]\n", "jobs = {}\n"])
def test_no_job_is_a_mistake(mistakes, text):
    assert mistakes(text + VAULT) == ["jobs.toml: [jobs]: there is no job: write at least one table [jobs.NAME]"]


def test_jobs_that_could_not_be_read_are_not_told_as_missing(mistakes):
    assert mistakes("[jobs]\ncrm = 3\n" + VAULT) == ["jobs.toml: [jobs.crm]: must be a table"]
    assert mistakes("jobs = 3\n" + VAULT) == ["jobs.toml: jobs: must be a table"]


def test_an_empty_file(mistakes):
    assert [line.split(": ")[1] for line in mistakes("")] == ["[vault]", "[jobs]"]


@pytest.mark.parametrize("listen", ["", "127.0.0.1:80", "127.9.9.9:1", "[::1]:9377", "localhost:65535", "/run/r.sock"])
def test_where_the_page_may_be(load, listen):
    assert load(f'[web]\nlisten = "{listen}"\n' + VAULT + job()).web_listen == listen


def test_there_is_a_page_where_nobody_says_otherwise(load):
    assert load(VAULT + job()).web_listen == "127.0.0.1:9377"


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("0.0.0.0:9377", "on loopback"),
        ("[::]:9377", "on loopback"),
        ("192.0.2.1:9377", "on loopback"),
        ("status.example.com:9377", "on loopback"),
        ("127.0.0.1:0", "on loopback"),
        ("127.0.0.1:65536", "on loopback"),
        ("127.0.0.1", "must be HOST:PORT"),
        ("unix:/run/r.sock", "must be HOST:PORT"),
        ("/run/../r.sock", "must be an absolute path"),
        ("/" + "r" * 107, "at most 107 bytes"),
    ],
)
@pytest.mark.leak("L30")
def test_where_it_may_not_be(mistakes, listen, why):
    (mistake,) = mistakes(f'[web]\nlisten = "{listen}"\n' + VAULT + job())
    assert "[web] listen: " in mistake
    assert why in mistake


def test_mistakes_stand_in_the_order_of_the_file_s_tables(mistakes):
    text = job("b", path=None) + "[limits]\ntotal = 0\n" + job("a", path=None) + VAULT.replace("https", "gopher")
    tables = [line.split(": ")[1].split("] ")[0] for line in mistakes(text)]
    assert tables == ["[jobs.b", "[jobs.a", "[limits", "[vault"]


def test_the_shipped_example_is_fine_and_says_all_that_init_says(tmp_path):
    text = EXAMPLE.read_text()
    settings = config.load(write(tmp_path, text))
    assert {job.provider for job in settings.jobs.values()} == {
        "semansys",
        "smartdocumentor",
        "screening-eagle",
        "oauth2",
    }
    assert settings.warnings == ()
    assert text == (ROOT / "refresher" / "config" / "example.toml").read_text(), "copy one over the other"


def test_what_the_example_comments_out_is_fine_too(tmp_path):
    lines = EXAMPLE.read_text().splitlines()
    active = [line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines]
    text = "\n".join(line for line in active if not line.startswith(("destinations", 'auth = { method = "token"')))
    settings = config.load(write(tmp_path, text.replace('include = ["jobs.d', 'include = ["nothing.d')))
    assert settings.jobs["crm"].adopt
    assert settings.jobs["crm"].times.schedule
    assert settings.jobs["crm"].shape.verify
    assert settings.clusters[""].namespace == "ops"
