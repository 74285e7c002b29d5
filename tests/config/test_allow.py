"""What an included file may name, where its entry of `include` says so: each breach is told, no key is forgotten."""

from typing import Any

import pytest

from refresher.config import include_tables
from refresher.config.job_keys import JobTable
from tests.config.conftest import VAULT, job
from tests.config.reference import table_in, toml

HOOKS = '[hooks.other]\ncommand = ["/bin/true"]\n[hooks.pay-desk]\ncommand = ["/bin/true"]\n'
EU = '[clusters.eu]\naddress = "https://eu.example.com"\nauth = { method = "token", token = "file:/x" }\n'
ALLOW = {
    "jobs": ["crm", "pay-*"],
    "secrets": ["vault:secret/pay/*", "file:/etc/pay/*", "env:PAY_*", "job:pay-*"],
    "paths": ["secret/tokens/pay/*", "secret/tokens/till-shadow"],
    "hosts": ["id.pay.example", "*.hosts.pay.example"],
    "programs": ["/usr/local/lib/pay/*"],
    "hooks": ["pay-*"],
}
OURS: dict[str, str | None] = {
    "token_url": '"https://id.pay.example/token"',
    "client_secret": '"vault:secret/pay/crm#client_secret"',
    "path": '"tokens/pay/crm"',
}
SECRET = '"file:/etc/other/x"'
HOST = '"https://id.other.example/x"'
EXEC = dict.fromkeys(("token_url", "grant", "client_id", "client_secret")) | {
    "provider": '"exec"',
    "command": '["/usr/local/lib/pay/fetch"]',
}
SIGNED = {"client_secret": None, "client_auth": '"private_key_jwt"'}
GRANT = {"grant": '"refresh_token"', "refresh_token": '"env:PAY_R"'}
CONSENT = {"grant": '"refresh_token"'}
EXCHANGE = {"grant": '"token_exchange"'}
BEARER = {"grant": '"jwt_bearer"'}
CERT = '"/etc/pay/crm.pem"'

# For each key that reads or reaches something: a job that does so beyond its file's list, and the key that is told.
BREACHES: dict[str, tuple[dict[str, str | None], str]] = {
    "provider": (dict.fromkeys(("token_url", "client_auth")) | {"provider": '"spotify"'}, "provider"),
    "environment": (
        {"token_url": None, "grant": None, "provider": '"semansys"', "environment": '"pre"'}
        | {"username": '"u"', "password": '"env:PAY_P"'},
        "environment",
    ),
    "environment of a program": (EXEC | {"environment": '{ LD_PRELOAD = "/tmp/x.so" }'}, "environment"),
    "base_url": ({"token_url": None, "provider": '"screening-eagle"', "base_url": HOST}, "base_url"),
    "token_url": ({"token_url": HOST}, "token_url"),
    "issuer": ({"token_url": None, "issuer": HOST}, "issuer"),
    "vars": ({"token_url": '"https://{t}.pay.example/x"', "vars": '{ t = "other" }'}, "token_url"),
    "client_secret": ({"client_secret": SECRET}, "client_secret"),
    "client_secret, the second": ({"client_secret": f'["env:PAY_A", {SECRET}]'}, "client_secret"),
    "client_key.key": (SIGNED | {"client_key": f"{{ key = {SECRET} }}"}, "client_key.key"),
    "client_key.certificate": (
        SIGNED | {"client_key": f'{{ key = "env:PAY_K", certificate = {SECRET} }}'},
        "client_key.certificate",
    ),
    "client_assertion": (SIGNED | {"client_assertion": SECRET}, "client_assertion"),
    "password": ({"grant": '"password"', "username": '"u"', "password": SECRET}, "password"),
    "refresh_token": (GRANT | {"refresh_token": SECRET}, "refresh_token"),
    "authorize.url": (CONSENT | {"authorize": f'{{ flow = "device_code", url = {HOST} }}'}, "authorize.url"),
    "assertion.key": (BEARER | {"assertion": f"{{ key = {SECRET} }}"}, "assertion.key"),
    "assertion.certificate": (
        BEARER | {"assertion": f'{{ key = "env:PAY_K", certificate = {SECRET} }}'},
        "assertion.certificate",
    ),
    "subject_token": (EXCHANGE | {"subject_token": SECRET}, "subject_token"),
    "subject_token of another job": (EXCHANGE | {"subject_token": '"job:other"'}, "subject_token"),
    "proxy": ({"proxy": '"http://proxy.other.example:3128"'}, "proxy"),
    "ca_file": ({"ca_file": '"/etc/other/ca.pem"'}, "ca_file"),
    "cert_file": ({"cert_file": '"/etc/other/c.pem"'}, "cert_file"),
    "key_file": ({"cert_file": CERT, "key_file": '"/etc/other/k.pem"'}, "key_file"),
    "verify.url": ({"verify": f"{{ url = {HOST} }}"}, "verify"),
    "verify.introspect": ({"verify": f"{{ introspect = {HOST} }}"}, "verify"),
    "command": (EXEC | {"command": '["/bin/sh", "-c", "/usr/local/lib/pay/fetch"]'}, "command"),
    "secrets": (EXEC | {"secrets": f"{{ a = {SECRET} }}"}, "secrets.a"),
    "path": ({"path": '"tokens/other"'}, "path"),
    "destinations.path": ({"path": None, "destinations": '[{ path = "tokens/other" }]'}, "destinations[0]"),
    "destinations.mount": (
        {"path": None, "destinations": '[{ mount = "kv", path = "tokens/pay/crm" }]'},
        "destinations[0]",
    ),
    "destinations.cluster": (
        {"path": None, "destinations": '[{ path = "tokens/pay/crm" }, { cluster = "eu", path = "tokens/pay/crm" }]'},
        "destinations[1]",
    ),
    "shadow": ({"shadow": "true", "path": '"tokens/till"'}, "shadow"),
    "moved_from": ({"moved_from": '"other-gone"'}, "moved_from"),
    "hooks": ({"hooks": '["other"]'}, "hooks"),
    "hooks of nobody": ({"hooks": "[]"}, "hooks"),
}
# What reads nothing and reaches nothing: it is sent to the hosts of the list, or says when and how.
HARMLESS = {
    *("client_id", "client_auth", "grant", "username", "scope", "audience", "resource", "params", "method", "body"),
    *("headers", "subject_token_type", "require_scope", "keep", "revokes_previous", "adopt", "deadline"),
    *("renew_before", "lifetime", "max_age", "schedule", "timezone", "refresh_every", "reader_lag"),
    "client_secret_expires",
    *("fields", "destinations.fields"),  # names and texts, none of them a reference
    *(f"response.{key}" for key in ("access_token", "expires_in", "expires_in_unit", "scope", "error", "error_ok")),
    *(f"client_key.{key}" for key in ("algorithm", "key_id", "audience", "lifetime")),
    *(f"assertion.{key}" for key in ("algorithm", "key_id", "audience", "lifetime", "issuer", "subject", "claims")),
    *("authorize.flow", "authorize.redirect_port", "authorize.params", "verify.status"),
}


def included(**allow: Any) -> str:
    return f"include = [{toml({'files': 'jobs.d/team.toml', 'allow': ALLOW | allow})}]\n" + VAULT + EU + HOOKS


def keys(model: type, prefix: str = "") -> set[str]:
    """Return every key of a job that holds no further keys, by the name that people give it."""
    found = set()
    for name, field in model.model_fields.items():
        inner = table_in(field.annotation)
        found |= {prefix + name} if inner is None else keys(inner, f"{prefix}{name}.")
    return found


@pytest.mark.leak("L34")
def test_every_key_of_a_job_is_held_to_the_list_or_known_to_reach_nothing():
    covered = {name.split(",")[0].split(" of ")[0] for name in BREACHES}
    assert covered & HARMLESS == set()
    assert sorted(keys(JobTable) ^ (covered | HARMLESS)) == [], "a key of a job that nobody judged: see allow.py"


@pytest.mark.leak("L34")
@pytest.mark.parametrize("breach", BREACHES)
def test_what_is_beyond_the_list_is_refused_and_named(mistakes, breach):
    more, key = BREACHES[breach]
    other = job("other", path='"tokens/other-one"')
    (told,) = mistakes(included() + other, team=job(**(OURS | more)))
    assert told.startswith(f'jobs.d/team.toml: [jobs.crm] {key}: is not allowed to "jobs.d/team.toml"')
    assert "other.example" not in told, "what is named may be a secret in the wrong place"
    assert "/etc/other" not in told


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"token_url": '"https://a.b.hosts.pay.example/x"', "proxy": '"http://id.pay.example:80"'},
        {"token_url": None, "issuer": '"https://ID.pay.example:443/x"'},
        {"client_secret": '["file:/etc/pay/deep/er", "env:PAY_X"]', "cert_file": CERT, "ca_file": '"/etc/pay/ca"'},
        {"path": '"tokens/pay/a/b"', "moved_from": '"pay-old"'},
        EXCHANGE | {"subject_token": '"job:pay-login"'},
        {"hooks": '["pay-desk"]'},
        EXEC | {"secrets": '{ a = "vault:secret/pay/x#y" }'},
    ],
)
def test_what_is_on_the_list_is_taken(load, keys):
    login = job("pay-login", **(OURS | {"path": '"tokens/pay/login"'}))
    settings = load(included(), team=job(**(OURS | keys)) + login)
    assert set(settings.jobs) == {"crm", "pay-login"}


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"token_url": '"https://id.pay.example:8200/x"'}, "token_url"),
        ({"token_url": '"https://id.pay.example.other/x"'}, "token_url"),
        ({"token_url": '"https://xid.pay.example/x"'}, "token_url"),
        ({"token_url": '"http://127.0.0.1/x"'}, "token_url"),
        ({"client_secret": '"vault:eu:secret/pay/crm#a"'}, "client_secret"),
        ({"client_secret": '"vault:secret/payroll/crm#a"'}, "client_secret"),
        ({"client_secret": '"credential:pay"'}, "client_secret"),
        ({"path": '"tokens/pay"'}, "path"),
        ({"path": '"tokens/payroll/x"'}, "path"),
    ],
)
def test_what_only_resembles_the_list_is_refused(mistakes, keys, key):
    (told,) = mistakes(included(), team=job(**(OURS | keys)))
    assert told.startswith(f"jobs.d/team.toml: [jobs.crm] {key}: is not allowed")


def test_each_breach_has_its_line_and_says_what_is_allowed(mistakes):
    keys = {"token_url": HOST, "client_secret": SECRET, "path": '"tokens/other"'}
    told = mistakes(included(), team=job("theirs", **(OURS | keys)))
    of = 'is not allowed to "jobs.d/team.toml", which may name these'
    secrets = '"vault:secret/pay/*", "file:/etc/pay/*", "env:PAY_*" or "job:pay-*"'
    assert told == [
        f'jobs.d/team.toml: [jobs.theirs]: {of} jobs: "crm" or "pay-*"',
        f"jobs.d/team.toml: [jobs.theirs] client_secret: {of} secrets: {secrets}",
        f'jobs.d/team.toml: [jobs.theirs] path: {of} paths: "secret/tokens/pay/*" or "secret/tokens/till-shadow"',
        f'jobs.d/team.toml: [jobs.theirs] token_url: {of} hosts: "id.pay.example" or "*.hosts.pay.example"',
    ]


@pytest.mark.parametrize("kind", sorted(include_tables.AllowTable.model_fields))
def test_a_list_that_is_left_out_allows_nothing(mistakes, kind):
    keys = {"programs": EXEC, "hooks": {"hooks": '["pay-desk"]'}}.get(kind, {})
    (told,) = mistakes(included(**{kind: []}), team=job(**(OURS | keys)))
    assert told.endswith(f"which may name these {kind}: none")


@pytest.mark.leak("L34")
def test_what_defaults_add_is_held_to_the_list_too(mistakes):
    defaults = f"[defaults]\nclient_secret = {SECRET}\n"
    (told,) = mistakes(included() + defaults, team=job(**(OURS | {"client_secret": None})))
    assert told.startswith("jobs.d/team.toml: [jobs.crm] client_secret: is not allowed")
    assert told.endswith("(it stands in [defaults])")


def test_files_without_a_list_name_what_they_like(load):
    text = 'include = ["jobs.d/a.toml", { files = "jobs.d/b.toml" }]\n' + VAULT
    settings = load(text, a=job("a", path='"a"'), b=job("b", path='"b"'))
    assert set(settings.jobs) == {"a", "b"}
    assert settings.includes == {"jobs.d/a.toml": 1, "jobs.d/b.toml": 1}


@pytest.mark.leak("L34")
def test_a_file_under_two_entries_that_differ_is_a_mistake(mistakes):
    two = f"include = [{toml('jobs.d/*.toml')}, {toml({'files': 'jobs.d/team.toml', 'allow': ALLOW})}]\n" + VAULT
    (told,) = mistakes(two, team=job(**OURS))
    assert told.startswith("jobs.toml: include[1]: jobs.d/*.toml names ")


def test_the_long_form_of_toml_is_the_same(load):
    lists = "".join(f"{name} = {toml(value)}\n" for name, value in ALLOW.items())
    text = f'[[include]]\nfiles = "jobs.d/team.toml"\n[include.allow]\n{lists}'
    assert set(load(text + VAULT, team=job(**OURS)).jobs) == {"crm"}


def test_metadata_lead_only_where_the_list_does(load):
    jobs = load(included(), team=job(**(OURS | {"token_url": None, "issuer": '"https://id.pay.example"'}))).jobs
    assert jobs["crm"].hosts == tuple(ALLOW["hosts"])
