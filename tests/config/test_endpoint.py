"""Where requests go: an issuer, and addresses with `{name}`s in them."""

import pytest

from refresher.providers import catalogue, example
from tests.config.conftest import VAULT, job

TENANT = '"https://{tenant}.example.com/oauth/token"'
OKTA = {"provider": '"okta"', "token_url": None, "grant": None}


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"issuer": '"https://id.example"'}, "issuer: stands beside token_url: write one of the two"),
        ({"token_url": None, "issuer": '"http://id.example"'}, 'issuer: must begin with "https://"'),
        ({"token_url": TENANT}, 'vars: "tenant" is missing, e.g. vars = { tenant = "acme" }'),
        ({"vars": '{ tenant = "acme" }'}, 'vars: "tenant" is used nowhere: no address of the job holds {tenant}'),
        (OKTA, f'vars: "{next(iter(catalogue()["okta"].vars))}" is missing, e.g. vars = {{ '),
        ({"vars": '{ Tenant = "a" }'}, 'vars: names are lower case letters, digits and "_", as in {tenant}'),
        ({"vars": "{ tenant = 7 }"}, "vars: must be a table of texts"),
        ({"vars": '"acme"'}, "vars: must be a table of texts"),
        (
            {"token_url": '"https://169.254.169.{a}/x"', "vars": '{ a = "254" }'},
            "token_url: with its vars filled in must",
        ),
        (
            {"token_url": '"https://{a}.example.com/x"', "vars": '{ a = "-x" }'},
            "token_url: with its vars filled in names",
        ),
        ({"token_url": '"https://x.example/{}"'}, "token_url: must be a URL such as"),
        ({"token_url": '"https://x.example/{A}"'}, "token_url: must be a URL such as"),
        ({"token_url": '"https://x.example:{port}/"'}, "token_url: must be a URL such as"),
        ({"token_url": '"{scheme}://x.example/"'}, 'token_url: must begin with "https://"'),
        ({"token_url": '"https://{user}@x.example/"'}, "token_url: must hold no user name or password"),
        (
            {"provider": '"auth0"', "token_url": None, "vars": '{ domain = "acme.eu.auth0.com" }'},
            "audience: is required with provider auth0",
        ),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    told = mistakes(VAULT + job(**keys))
    assert any(each.startswith(f"jobs.toml: [jobs.crm] {line}") for each in told)
    assert len({each.split("] ")[1].split(":")[0] for each in told}) == 1


@pytest.mark.parametrize(
    "value", ["", ".", "..", "a/b", "a..b", "a@b", "a?b", "a#b", "a%2eb", "a:b", "é", "a b", "a\\\\b"]
)
def test_a_value_can_t_break_out_of_its_place(mistakes, value):
    (line,) = mistakes(VAULT + job(token_url=TENANT, vars=f'{{ tenant = "{value}" }}'))
    assert line.startswith("jobs.toml: [jobs.crm] vars: tenant takes only letters")


def test_an_issuer_leads_to_the_endpoint(load):
    keys = {"token_url": None, "issuer": '"https://id.example/realms/{realm}"', "vars": '{ realm = "acme" }'}
    found = load(VAULT + job(**keys)).jobs["crm"]
    assert (found.token_url, found.shape.issuer) == ("", "https://id.example/realms/acme")


def test_an_issuer_leads_to_what_else_is_asked_there(load):
    keys = {"token_url": None, "issuer": '"https://id.example"', "verify": '"introspect"', "grant": '"refresh_token"'}
    found = load(VAULT + job(**keys, authorize='{ flow = "device_code" }')).jobs["crm"].shape
    assert (found.verify.url, found.verify.introspect, found.consent.url) == ("", True, "")


def test_every_address_of_a_job_may_hold_names(load):
    keys = {
        "token_url": TENANT,
        "grant": '"refresh_token"',
        "verify": '{ url = "https://api.example.com/{tenant}/{a_1}" }',
        "authorize": '{ flow = "device_code", url = "https://{b}.example.com" }',
        "vars": '{ tenant = "acme.eu", a_1 = "x", b = "y" }',
    }
    found = load(VAULT + job(**keys)).jobs["crm"]
    assert found.token_url == "https://acme.eu.example.com/oauth/token"
    assert found.shape.verify.url == "https://api.example.com/acme.eu/x"
    assert found.shape.consent.url == "https://y.example.com"


def test_names_without_a_value_are_each_told_once(mistakes):
    keys = {"token_url": '"https://{b}.example.com/{a}"', "verify": '{ url = "https://{b}.example.com/" }'}
    assert [line.split('"')[1] for line in mistakes(VAULT + job(**keys))] == ["a", "b"]


def test_a_value_of_the_defaults_need_not_be_used(load):
    jobs = load(
        VAULT + '[defaults]\nvars = { tenant = "acme" }\n' + job() + job("b", token_url=TENANT, path='"b"')
    ).jobs
    assert jobs["b"].token_url == "https://acme.example.com/oauth/token"


def test_a_value_is_not_told_as_unused_where_an_address_could_not_be_read(mistakes):
    keys = {"token_url": '"https://{tenant}.example.com?"', "vars": '{ tenant = "acme" }'}
    assert [line.split("] ")[1].split(":")[0] for line in mistakes(VAULT + job(**keys))] == ["token_url"]


def test_a_value_that_is_missing_is_not_told_where_vars_could_not_be_read(mistakes):
    (line,) = mistakes(VAULT + job(token_url=TENANT, vars='{ tenant = "" }'))
    assert "vars: tenant takes only" in line


def test_params_of_the_provider_are_filled_in_and_the_job_s_win(load):
    keys = {"provider": '"zoom"', "token_url": None, "grant": None, "vars": '{ account_id = "42" }'}
    assert load(VAULT + job(**keys)).jobs["crm"].params == (
        ("grant_type", "account_credentials"),
        ("account_id", "42"),
    )
    own = job(**keys | {"vars": None}, params='{ account_id = "7", x = ["1", "2"] }')
    assert load(VAULT + own).jobs["crm"].params == (
        ("grant_type", "account_credentials"),
        ("account_id", "7"),
        ("x", "1"),
        ("x", "2"),
    )


@pytest.mark.parametrize("name", catalogue())
def test_what_the_catalogue_shows_to_paste_is_taken_as_it_is(load, name):
    settings = load(VAULT + example(catalogue()[name]))
    assert settings.jobs[name].provider == name
    assert settings.warnings == ()
