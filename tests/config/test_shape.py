"""How a request is written, over which connection, and how the new token is tried."""

from pathlib import Path

import pytest

from refresher.core.job import PLAIN_SHAPE, Verify
from refresher.core.model import Channel
from tests.config.conftest import VAULT, job

INTROSPECT = '{ introspect = "https://id.example/introspect" }'


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"method": '"PUT"'}, 'method: must be "POST" or "GET"'),
        ({"body": '"xml"'}, 'body: must be "form" or "json"'),
        (
            {"headers": '{ Authorization = "x" }'},
            'headers: "Authorization" is set by refresher itself; client_auth says',
        ),
        ({"headers": '{ Content-Type = "x" }'}, 'headers: "Content-Type" is set by refresher itself'),
        ({"headers": '{ X-Api-Key = "x" }'}, 'headers: "X-Api-Key" looks like a secret'),
        ({"audience": '"a"', "params": '{ audience = "b" }'}, "audience: stands in params, too: write one of the two"),
        ({"resource": "[]"}, "resource: must not be empty"),
        ({"proxy": '"socks5://p.example"'}, 'proxy: must begin with "https://"'),
        ({"proxy": '"http://u:hunter2@p.example"'}, "proxy: must hold no user name or password"),
        ({"proxy": '"http://p.example/path"'}, "proxy: must be a host and a port"),
        ({"ca_file": '"ca.pem"'}, "ca_file: must be an absolute path"),
        ({"verify": "{}"}, "verify: names nothing to call: write url, or introspect"),
        ({"verify": "true"}, 'verify: must be "introspect", or a table such as'),
        ({"verify": '"probe"'}, 'verify: must be "introspect", or a table such as'),
        ({"verify": '"introspect"'}, "verify: needs an issuer here: else write verify = { introspect ="),
        ({"verify": '{ url = "http://api.example.com" }'}, 'verify.url: must begin with "https://"'),
        ({"verify": '{ url = "https://a.example", status = 99 }'}, "verify.status: must be at least 200"),
        ({"verify": '{ url = "https://a.example", stats = 200 }'}, 'verify.stats: unknown key; did you mean "status"?'),
        (
            {"verify": INTROSPECT.replace("{", '{ url = "https://a.example",', 1)},
            "verify.introspect: stands beside url: write one of the two",
        ),
        ({"verify": INTROSPECT.replace(" }", ", status = 200 }")}, "verify.status: is not used with introspect"),
        ({"method": '"GET"', "body": '"form"'}, "body: is not used with method GET, which has none: take it out"),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    (told,) = mistakes(VAULT + job(**keys))
    assert told.startswith(f"jobs.toml: [jobs.crm] {line}")
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        ({"body": '"json"', "headers": '{ X-Tenant = "acme" }'}, {"body": "json", "headers": (("X-Tenant", "acme"),)}),
        (
            {"proxy": '"http://proxy.example.com:3128"', "ca_file": '"/ca.pem"'},
            {"channel": Channel(proxy="http://proxy.example.com:3128", ca_file=Path("/ca.pem"))},
        ),
        ({"verify": '{ url = "https://api.example.com/me" }'}, {"verify": Verify(url="https://api.example.com/me")}),
        (
            {"verify": '{ url = "https://api.example.com/me", status = 204 }'},
            {"verify": Verify(url="https://api.example.com/me", status=204)},
        ),
        ({"verify": INTROSPECT}, {"verify": Verify(url="https://id.example/introspect", introspect=True)}),
        ({"method": '"POST"', "body": '"form"', "headers": "{}"}, {}),
    ],
)
def test_what_becomes_of_it(load, keys, shape):
    settings = load(VAULT + job(**keys))
    found = settings.jobs["crm"].shape
    assert {key: getattr(found, key) for key in shape} == shape
    assert (found is PLAIN_SHAPE) == (not shape)
    assert settings.warnings == ()


def test_get_is_odd_unless_it_is_the_default_s(load):
    (warning,) = load(VAULT + job(method='"GET"')).warnings
    assert "method: GET puts secrets into the URL" in warning
    settings = load(VAULT + '[defaults]\nmethod = "GET"\nbody = "json"\n' + job())
    assert (settings.warnings, settings.jobs["crm"].shape.method) == ((), "GET")


def test_audience_and_resource_are_members_of_the_request(load):
    keys = {"params": '{ a = "1" }', "audience": '"https://x"', "resource": '["https://y", "https://z", "https://y"]'}
    assert load(VAULT + job(**keys)).jobs["crm"].params == (
        ("a", "1"),
        ("audience", "https://x"),
        ("resource", "https://y"),
        ("resource", "https://z"),
    )


def test_what_is_unusual_in_the_same_way_is_one_value(load):
    defaults = '[defaults]\nca_file = "/ca.pem"\nmax_age = "1d"\n'
    jobs = load(VAULT + defaults + job("a") + job("b", path='"b"') + job("c", path='"c"', body='"json"')).jobs
    assert jobs["a"].shape is jobs["b"].shape
    assert jobs["a"].shape is not jobs["c"].shape
    assert jobs["a"].times is jobs["b"].times is jobs["c"].times


def test_a_provider_may_ask_for_what_is_unusual(load):
    github = {"provider": '"github-app"', "token_url": None, "grant": None, "client_secret": None}
    found = load(VAULT + job(**github, vars='{ installation_id = "7" }', assertion='{ key = "env:K" }')).jobs["crm"]
    assert (found.shape.dialect, found.grant, found.client_auth) == ("github_app", "jwt_bearer", "none")
    assert found.token_url == "https://api.github.com/app/installations/7/access_tokens"
