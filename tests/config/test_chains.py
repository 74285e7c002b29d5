"""A job that exchanges the token of another one."""

import pytest

from refresher.core.model import Reference
from tests.config.conftest import VAULT, job

EU = '[clusters.eu]\naddress = "https://eu.example.com"\nauth = { method = "token", token = "file:/eu" }\n'


def chained(name: str, other: str, **keys: str | None) -> str:
    return job(name, grant='"token_exchange"', subject_token=f'"job:{other}"', path=f'"tokens/{name}"', **keys)


def test_the_token_is_read_where_the_other_job_writes_it_first(load):
    other = '[{ cluster = "eu", mount = "kv", path = "login" }, { path = "login" }]'
    jobs = load(
        VAULT + EU + chained("a", "login") + chained("b", "a") + job("login", path=None, destinations=other)
    ).jobs
    assert jobs["a"].shape.subject_token == Reference(
        kind="vault", cluster="eu", target="kv/login", field="access_token"
    )
    assert jobs["b"].shape.subject_token == Reference(kind="vault", target="secret/tokens/a", field="access_token")
    assert jobs["a"].references().keys() == {"client_secret", "subject_token"}


def test_the_other_job_may_stand_in_another_file(load):
    text = 'include = ["jobs.d/*.toml"]\n' + VAULT + chained("a", "login")
    assert load(text, more=job("login")).jobs["a"].shape.subject_token.target == "secret/tokens/crm"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            chained("a", "logni") + job("login"),
            '[jobs.a] subject_token: names a job that is not there; did you mean "log',
        ),
        (chained("a", "a"), "[jobs.a] subject_token: goes round in a circle: a -> a"),
        (
            chained("x", "b") + chained("c", "a") + chained("a", "b") + chained("b", "c"),
            "[jobs.b] subject_token: goes round in a circle: b -> c -> a -> b",
        ),
    ],
)
def test_one_mistake_is_one_line(mistakes, text, line):
    (told,) = mistakes(VAULT + text)
    assert told.startswith(f"jobs.toml: {line}")


def test_a_mistake_in_the_other_job_is_told_alone(mistakes):
    (line,) = mistakes(VAULT + chained("a", "login") + job("login", path=None))
    assert "[jobs.login] path: is required" in line
