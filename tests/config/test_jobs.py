"""What a job needs, by provider and grant."""

from datetime import timedelta

import pytest

from refresher.core.job import Margin, ResponseMap
from refresher.core.model import Location, Reference
from tests.config.conftest import VAULT, job

CLEAR = (
    "a secret stands here in the clear; put it into a file of mode 0600 and write a reference, e.g. "
    '"file:/etc/refresher/name.secret" or "vault:secret/clients/name#field"'
)
PASSWORD = {"grant": '"password"', "username": '"api@acme.example"', "password": '"env:CRM_PASSWORD"'}
SEMANSYS = PASSWORD | {"provider": '"semansys"', "grant": None, "token_url": None, "environment": '"pre"'}
EAGLE = {"provider": '"screening-eagle"', "grant": None, "token_url": None}


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"provider": None}, "provider: is required: refresher providers lists them; oauth2 is any RFC 6749 endpoint"),
        ({"client_id": None}, "client_id: is required"),
        ({"client_secret": None}, "client_secret: is required"),
        ({"grant": None}, 'grant: is required: "client_credentials", "password", "refresh_token", "jwt_bearer" or'),
        ({"grant": '"jwt"'}, 'grant: must be "client_credentials", "password", "refresh_token", "jwt_bearer" or'),
        ({"client_auth": '"bassic"'}, 'client_auth: must be "basic", "basic_raw", "post", "private_key_jwt",'),
        ({"client_auth": '"basic_raw"', "client_id": '"a:b"'}, "client_id: holds a colon, which basic_raw can't send"),
        ({"token_url": None}, "token_url: is required with provider oauth2"),
        (
            {"token_url": None, "base_url": '"https://x.example"'},
            "base_url: is not enough: no path is known for oauth2; write token_url",
        ),
        ({"token_url": None, "environment": '"pre"'}, "environment: oauth2 has none; write token_url"),
        ({"base_url": '"https://x.example"'}, "base_url: stands beside token_url: write one of the two"),
        (SEMANSYS | {"environment": None}, 'environment: is required: "pre"; or write token_url'),
        (SEMANSYS | {"environment": '"prod"'}, 'environment: must be "pre"; or write token_url'),
        (SEMANSYS | {"environment": '"pree"'}, 'environment: must be "pre"; did you mean "pre"?; or write token_url'),
        (SEMANSYS | {"username": None}, "username: is required with grant password"),
        (SEMANSYS | {"password": None}, "password: is required with grant password"),
        (SEMANSYS | {"password": '"hunter2"'}, f"password: {CLEAR}"),
        (EAGLE, "base_url: is required with provider screening-eagle"),
        ({"grant": '"refresh_token"'}, "refresh_token: is required with this grant: a reference to the first"),
        ({"client_secret": '"hunter2"'}, f"client_secret: {CLEAR}"),
        ({"client_secret": "12345"}, "client_secret: must be a reference to a secret"),
        ({"client_secret": '"vault:eu:kv/a#b"'}, "client_secret: names a cluster that has no table [clusters.NAME]"),
        ({"path": None}, 'path: is required: where readers find the token, e.g. "tokens/crm"'),
        ({"path": "7"}, "path: must be a text in quotes"),
        ({"destinations": '[{ path = "a" }]'}, "path: stands beside destinations: write one of the two"),
        ({"path": None, "destinations": "[]"}, "destinations: names no path"),
        ({"path": None, "destinations": "[{}]"}, "destinations[0].path: is required"),
        ({"path": None, "destinations": '["a"]'}, "destinations[0]: must be a table"),
        ({"path": None, "destinations": '"a"'}, "destinations: must be a list"),
        (
            {"path": None, "destinations": '[{ path = "a", mout = "b" }]'},
            'destinations[0].mout: unknown key; did you mean "mount"?',
        ),
        (
            {"path": None, "destinations": '[{ path = "a", cluster = "eu" }]'},
            "destinations[0].cluster: names a cluster that has no table",
        ),
        ({"clientid": "1"}, 'clientid: unknown key; did you mean "client_id"?'),
        ({"colour": "1"}, "colour: unknown key"),
        (
            {"username": '"u"'},
            'username: is not used with grant client_credentials: take it out, or write grant = "pass',
        ),
        (SEMANSYS | {"refresh_token": '"env:R"'}, "refresh_token: is not used with grant password: take it out, or"),
        ({"renew_before": '"soon"'}, 'renew_before: must be a duration such as "10m", or a percentage'),
        ({"lifetime": "3600"}, "lifetime: must be a duration such as"),
        ({"adopt": '"yes"'}, "adopt: must be true or false"),
        ({"revokes_previous": "1"}, "revokes_previous: must be true or false"),
        ({"keep": '["refresh_token"]'}, 'keep: "refresh_token" is never stored where readers look'),
        ({"params": '{ grant_type = "password" }'}, 'params: "grant_type" is set by the job itself'),
        ({"response": '{ acces_token = "t" }'}, 'response.acces_token: unknown key; did you mean "access_token"?'),
        ({"response": '{ expires_in_unit = "m" }'}, 'response.expires_in_unit: must be "s" or "ms"'),
        ({"response": '{ error_ok = "0" }'}, "response.error_ok: must be a list of texts and whole numbers"),
        ({"scope": '"a  b"'}, "scope: each scope must be visible ASCII"),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    (told,) = mistakes(VAULT + job(**keys))
    assert told.startswith(f"jobs.toml: [jobs.crm] {line}")
    assert "hunter2" not in told


def test_what_is_missing_is_told_even_where_the_provider_is_not_known(mistakes):
    told = mistakes(VAULT + job(provider='"semansis"', client_id=None, path=None))
    assert [line.split("] ")[1].split(":")[0] for line in told] == ["path", "provider", "client_id"]
    assert 'did you mean "semansys"?' in told[1]


def test_a_misspelt_key_is_not_told_as_missing_too(mistakes):
    (line,) = mistakes(VAULT + job(client_secret=None, client_secrt='"file:/x"'))
    assert line == 'jobs.toml: [jobs.crm] client_secrt: unknown key; did you mean "client_secret"?'


def test_every_key_of_a_job(load):
    found = load(
        VAULT
        + job(
            grant='"refresh_token"',
            client_auth='"post"',
            refresh_token='"vault:secret/crm#refresh_token"',
            scope='"read write"',
            require_scope='["read"]',
            params='{ audience = "https://api.example.com" }',
            renew_before='"25%"',
            lifetime='"1h"',
            revokes_previous="true",
            response='{ expires_in = "ttl", expires_in_unit = "ms", error_ok = [0] }',
            keep='["id_token"]',
            adopt="true",
        )
    ).jobs["crm"]
    assert (found.provider, found.token_url) == ("oauth2", "https://crm.example.com/oauth/token")
    assert (found.grant, found.client_auth, found.client_id) == ("refresh_token", "post", "acme")
    assert found.client_secret == Reference(kind="file", target="/etc/refresher/crm.secret")
    assert found.refresh_token == Reference(kind="vault", target="secret/crm", field="refresh_token")
    assert (found.scope, found.require_scope) == (("read", "write"), ("read",))
    assert found.params == (("audience", "https://api.example.com"),)
    assert (found.renew_before, found.lifetime) == (Margin(share=0.25), timedelta(hours=1))
    assert found.response == ResponseMap(expires_in="ttl", expires_in_unit="ms", error_ok=(0,))
    assert (found.revokes_previous, found.adopt, found.keep) == (True, True, ("id_token",))
    assert found.destinations == (Location(mount="secret", path="tokens/crm"),)
    assert found.state == Location(mount="refresher", path="refresher/default/crm")


def test_the_catalogue_fills_in_what_the_job_leaves_out(load):
    found = load(VAULT + job(**SEMANSYS)).jobs["crm"]
    assert (found.token_url, found.grant) == ("https://oidc-pre.semansys.com/connect/token", "password")
    assert (found.client_auth, found.lifetime, found.refreshes) == ("post", timedelta(hours=1), True)


@pytest.mark.parametrize(
    ("keys", "url"),
    [
        (SEMANSYS | {"environment": None, "base_url": '"https://oidc.example/"'}, "https://oidc.example/connect/token"),
        (SEMANSYS | {"environment": None, "token_url": '"https://a.example/t"'}, "https://a.example/t"),
        (EAGLE | {"base_url": '"https://id.example.com"'}, "https://id.example.com/api/id/v1/auth/token"),
        (
            EAGLE | {"provider": '"smartdocumentor"'},
            "https://cloud.smartdocumentor.net/connect/token",
        ),
    ],
)
def test_token_url(load, keys, url):
    assert load(VAULT + job(**keys)).jobs["crm"].token_url == url


def test_scope_may_be_emptied(load):
    assert load(VAULT + job(**EAGLE, base_url='"https://id.example.com"')).jobs["crm"].scope
    assert load(VAULT + job(**EAGLE, base_url='"https://id.example.com"', scope="[]")).jobs["crm"].scope == ()


def test_defaults_fill_in_and_the_job_wins(load):
    defaults = '[defaults]\nclient_id = "common"\nrenew_before = "5m"\nenvironment = "pre"\npath = "a"\nadopt = true\n'
    jobs = load(
        VAULT + defaults + job(client_id=None, destinations='[{ path = "b" }]', path=None) + job("own", adopt="false")
    ).jobs
    assert (jobs["crm"].client_id, jobs["own"].client_id) == ("common", "acme")
    assert jobs["crm"].renew_before == Margin(duration=timedelta(minutes=5))
    assert [jobs["crm"].adopt, jobs["own"].adopt] == [True, False]
    assert [place.path for each in jobs.values() for place in each.destinations] == ["b", "tokens/crm"]


def test_a_mistake_in_the_defaults_is_told_once(mistakes):
    told = mistakes(VAULT + '[defaults]\ngrant = "x"\n' + job(grant=None) + job("b", grant=None, path='"tokens/b"'))
    assert [line.split(": ")[1] for line in told] == ["[defaults] grant"]


def test_a_mistake_in_the_defaults_hides_none_of_a_job_with_a_value_of_its_own(mistakes):
    told = mistakes(VAULT + '[defaults]\ngrant = "x"\n' + job(grant='"password"', username='"u"'))
    assert [line.split(": ")[1] for line in told] == ["[defaults] grant", "[jobs.crm] password"]


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        (PASSWORD, "grant: password is what RFC 9700, section 2.4, forbids: ask the provider for another grant"),
        ({"client_secret": '"vault:secret/data/crm#x"'}, 'client_secret: a vault reference is written without "data/"'),
        (
            {"renew_before": '"20m"', "lifetime": '"1h"'},
            "renew_before: readers are promised 15m and no more, a quarter of the token's lifetime",
        ),
        ({"lifetime": '"5s"'}, "lifetime: is shorter than 6s: nothing is promised to readers"),
    ],
)
def test_odd_but_allowed(load, keys, warning):
    (line,) = load(VAULT + job(**keys)).warnings
    assert f"[jobs.crm] {warning}" in line


@pytest.mark.parametrize(
    ("provider", "single_use", "leeway"),
    [("xero", True, timedelta(minutes=30)), ("google", False, None), ("oauth2", True, None)],
)
def test_what_the_catalogue_says_of_used_refresh_tokens_reaches_the_job(load, provider, single_use, leeway):
    url = {} if provider == "oauth2" else {"token_url": None}
    keys = {"grant": '"refresh_token"', "refresh_token": '"env:RT"', "client_auth": None}
    found = load(VAULT + job(provider=f'"{provider}"', **url | keys)).jobs["crm"]
    assert (found.single_use, found.leeway) == (single_use, leeway)
