"""Jobs whose provider is a program."""

from datetime import timedelta

import pytest

from refresher.core.job import Program, ResponseMap, Times, Verify
from refresher.core.model import Reference
from tests.config.conftest import VAULT, job

EXEC = {
    **dict.fromkeys(("token_url", "grant", "client_id", "client_secret")),
    "provider": '"exec"',
    "command": '["/usr/local/bin/fetch-token", "crm"]',
}


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"command": None}, "command: is required with provider exec, e.g."),
        ({"command": "[]"}, "command: must be a list: a program and its arguments"),
        ({"command": '"/bin/x"'}, "command: must be a list"),
        ({"command": '["fetch-token"]'}, "command: must be an absolute path"),
        ({"command": '["/bin/x", 1]'}, "command: must be a text in quotes"),
        ({"command": '["/bin/x", "a\\nb"]'}, "command: must be one line"),
        ({"environment": '"pre"'}, "environment: must be a table with provider exec"),
        ({"environment": '{ A-B = "x" }'}, "environment: must be a table of variables"),
        ({"environment": '{ A = "env:B" }'}, 'environment: "A" is a reference to a secret, and none is read here'),
        ({"secrets": '{ a = "hunter2" }'}, "secrets: a: a secret stands here in the clear"),
        ({"secrets": '["env:A"]'}, "secrets: must be a table of references"),
        ({"secrets": '{ a = "vault:eu:a/b#c" }'}, "secrets.a: names a cluster that has no table"),
        ({"deadline": "30"}, "deadline: must be a duration"),
        ({"token_url": '"https://x.example"'}, "token_url: is not used with provider exec, whose program knows"),
        ({"client_secret": '"env:A"'}, "client_secret: is not used with provider exec"),
        ({"scope": '"a"'}, "scope: is not used with provider exec"),
        ({"verify": '"introspect"'}, "verify: needs an issuer here"),
        (
            {"verify": '{ introspect = "https://x.example" }'},
            "verify.introspect: is not used with provider exec, which has no client to ask with",
        ),
        ({"refresh_every": '"1d"'}, "refresh_every: keeps a refresh token alive, and this job has none"),
        ({"vars": '{ a = "b" }'}, 'vars: "a" is used nowhere'),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    (told,) = mistakes(VAULT + job(**EXEC | keys))
    assert told.startswith(f"jobs.toml: [jobs.crm] {line}")
    assert "hunter2" not in told


@pytest.mark.parametrize("key", ["command", "secrets", "deadline"])
def test_what_belongs_to_a_program_is_refused_elsewhere(mistakes, key):
    value = {"command": '["/bin/x"]', "secrets": '{ a = "env:A" }', "deadline": '"1m"'}[key]
    (line,) = mistakes(VAULT + job(**{key: value}))
    assert line == f'jobs.toml: [jobs.crm] {key}: is used with provider = "exec" alone: take it out'


def test_variables_are_for_a_program_alone(mistakes):
    (line,) = mistakes(VAULT + job(token_url=None, environment='{ A = "b" }'))
    assert "environment: a table of variables is for provider exec; elsewhere it is one word" in line


def test_every_key(load):
    found = load(
        VAULT
        + job(
            **EXEC,
            environment='{ LANG = "C.UTF-8", EMPTY = "" }',
            secrets='{ password = "vault:secret/crm#p", KEY_2 = "env:K" }',
            deadline='"1m"',
            response='{ access_token = "data.token" }',
            require_scope='"read"',
            verify='{ url = "https://{t}.example.com/me" }',
            vars='{ t = "acme" }',
            keep='["id_token"]',
            revokes_previous="true",
            renew_before='"10m"',
            lifetime='"1h"',
            max_age='"30m"',
            schedule='"0 3 * * *"',
            adopt="true",
        )
    ).jobs["crm"]
    assert found.shape.program == Program(
        argv=("/usr/local/bin/fetch-token", "crm"),
        environment=(("LANG", "C.UTF-8"), ("EMPTY", "")),
        secrets=(
            ("password", Reference(kind="vault", target="secret/crm", field="p")),
            ("KEY_2", Reference(kind="env", target="K")),
        ),
        deadline=timedelta(minutes=1),
    )
    assert found.shape.verify == Verify(url="https://acme.example.com/me")
    assert (found.provider, found.token_url, found.client_id, found.client_auth) == ("exec", "", "", "none")
    assert (found.response, found.require_scope, found.keep) == (
        ResponseMap(access_token="data.token"),
        ("read",),
        ("id_token",),
    )
    assert (found.lifetime, found.times) == (
        timedelta(hours=1),
        Times(schedule="0 3 * * *", max_age=timedelta(minutes=30)),
    )
    assert (found.adopt, found.irreplaceable) == (True, True)


def test_the_least(load):
    settings = load(VAULT + job(**EXEC))
    found = settings.jobs["crm"]
    assert found.shape.program == Program(argv=("/usr/local/bin/fetch-token", "crm"))
    assert (found.irreplaceable, settings.warnings) == (False, ())


def test_defaults_of_other_providers_do_not_matter(load):
    defaults = '[defaults]\nclient_id = "acme"\nenvironment = "pre"\nscope = "a"\nca_file = "/ca.pem"\n'
    found = load(VAULT + defaults + job(**EXEC)).jobs["crm"]
    assert (found.client_id, found.scope, found.shape.program.environment) == ("", (), ())


def test_a_misspelt_provider_is_told_alone(mistakes):
    (line,) = mistakes(VAULT + job(**EXEC | {"provider": '"exek"'}))
    assert 'provider: is not in the catalogue; did you mean "exec"?' in line
