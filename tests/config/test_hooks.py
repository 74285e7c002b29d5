"""Hooks, the dead man's switch, and the day on which a client secret ends."""

from datetime import date, timedelta

import pytest

from refresher.core.hooks import Hook
from refresher.core.job import Program
from refresher.core.model import Reference
from tests.config.conftest import VAULT, job


def hook(text: str, **keys: str) -> str:
    return f"[hooks.one]\n{text}\n" + VAULT + job(**keys)


def test_every_kind(load):
    settings = load(
        'heartbeat_url = "credential:beat"\nheartbeat_every = "5m"\n'
        '[hooks.a]\non = ["rotated"]\ncommand = ["/bin/x", "y"]\nsecrets = { key = "env:KEY" }\ndeadline = "10s"\n'
        '[hooks.b]\nlevel = "error"\nurl = "https://e.example.com"\nsecret = "credential:s"\n'
        '[hooks.c]\nreload = "nginx"\n[hooks.d]\non = ["before"]\ncommand = ["/bin/x"]\n'
        + VAULT
        + job(hooks='["a", "c"]', client_secret_expires="2027-03-01")
    )
    key = Reference(kind="env", target="KEY")
    program = Program(argv=("/bin/x", "y"), secrets=(("key", key),), deadline=timedelta(seconds=10))
    asked = Program(argv=("/bin/x",), deadline=timedelta(seconds=5))
    assert settings.hooks == {
        "a": Hook(name="a", events=frozenset(("rotated",)), program=program),
        "b": Hook(
            name="b", level="error", url="https://e.example.com", secret=Reference(kind="credential", target="s")
        ),
        "c": Hook(name="c", unit="nginx"),
        "d": Hook(name="d", moment="before", program=asked),
    }
    assert settings.heartbeat_url == Reference(kind="credential", target="beat")
    assert settings.heartbeat_every == timedelta(minutes=5)
    assert settings.jobs["crm"].hooks == ("a", "c")
    assert settings.jobs["crm"].client_secret_expires == date(2027, 3, 1)


def test_without_any(load):
    settings = load(VAULT + job())
    assert (settings.hooks, settings.heartbeat_url, settings.jobs["crm"].hooks) == ({}, "", None)


def test_a_day_may_be_a_text(load):
    assert load(VAULT + job(client_secret_expires='"2027-03-01"')).jobs["crm"].client_secret_expires.year == 2027


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "[hooks.one]: does nothing: write one of"),
        ('url = "https://e.example.com"\nreload = "x"', "[hooks.one] reload: stands beside url: write one of the two"),
        ('reload = "x"\nsecret = "env:S"', "[hooks.one] secret: is not used without url: take it out"),
        ('reload = "x"\ndeadline = "3s"', "[hooks.one] deadline: is not used without command: take it out"),
        ('reload = "x.service"', '[hooks.one] reload: must be the name of a service without ".service"'),
        ('reload = "../x"', "[hooks.one] reload: must be the name of a service"),
        ('on = ["rotatd"]\nreload = "x"', '[hooks.one] on: names an event that there is not; did you mean "rotated"?'),
        ('on = ["hook_failed"]\nreload = "x"', "[hooks.one] on: names an event that there is not"),
        ('on = "rotated"\nreload = "x"', "[hooks.one] on: must be a list of events"),
        ('on = ["before"]\nreload = "x"', "[hooks.one] on: before is asked of a command alone"),
        ('on = ["before", "rotated"]\ncommand = ["/x"]', '[hooks.one] on: "before" stands alone'),
        ('on = ["before"]\ncommand = ["/x"]\ndeadline = "31s"', "[hooks.one] deadline: is at most 30s with before"),
        ('on = ["before"]\ncommand = ["/x"]\nlevel = "error"', "[hooks.one] level: is not used with before"),
        ('command = ["x"]', "[hooks.one] command: must be an absolute path"),
        ('command = "/bin/x"', "[hooks.one] command: must be a list"),
        ('url = "http://e.example.com"', '[hooks.one] url: must begin with "https://"'),
        ('url = "hunter2hunter2"', "[hooks.one] url: must be a URL that begins with"),
        ('url = "vault:secret/hook#url"', "[hooks.one] url: must stand on this machine, since hooks are called"),
        ('url = "https://e.example.com"\nsecret = "hunter2"', "[hooks.one] secret: a secret stands here in the clear"),
        ('command = ["/x"]\nsecrets = { key = "vault:secret/a#b" }', "[hooks.one] secrets: key: must stand on this"),
        ('level = "debug"\nreload = "x"', '[hooks.one] level: must be "info", "warning" or "error"'),
        ('relaod = "x"', '[hooks.one] relaod: unknown key; did you mean "reload"?'),
    ],
)
def test_one_mistake_is_one_line(mistakes, text, line):
    told = mistakes(hook(text))
    assert told[0].startswith(f"jobs.toml: {line}")
    assert "hunter2" not in "\n".join(told)


def test_a_hook_that_there_is_not(mistakes):
    (line,) = mistakes(hook('reload = "x"', hooks='["oen"]'))
    assert line == 'jobs.toml: [jobs.crm] hooks: names a hook that has no table [hooks.NAME]; did you mean "one"?'


def test_one_that_defaults_name_is_told_once(mistakes):
    defaults = '[defaults]\nhooks = ["oen"]\n'
    (line,) = mistakes(defaults + hook('reload = "x"') + job("other", path='"tokens/other"'))
    assert line == 'jobs.toml: [defaults] hooks: names a hook that has no table [hooks.NAME]; did you mean "one"?'


def test_one_that_could_not_be_read_is_not_told_twice(mistakes):
    assert len(mistakes(hook("reload = 3", hooks='["one"]'))) == 1


@pytest.mark.parametrize("value", ["2027-03-01T00:00:00Z", '"soon"', "3", "true"])
def test_what_is_no_day(mistakes, value):
    (line,) = mistakes(VAULT + job(client_secret_expires=value))
    assert line == "jobs.toml: [jobs.crm] client_secret_expires: must be a day, e.g. 2027-03-01"
