"""What each grant and each way to prove the client needs, and what it refuses."""

from datetime import timedelta
from pathlib import Path

import pytest

from refresher.config import needs, request_keys
from refresher.core.job import PLAIN_SHAPE, Consent, Signing
from refresher.core.model import Channel, Reference
from refresher.providers import row
from tests.config.conftest import VAULT, job

KEY = Reference(kind="file", target="/k.pem")
SECRET = Reference(kind="file", target="/etc/refresher/crm.secret")
SIGNED = {"client_auth": '"private_key_jwt"', "client_secret": None}
HS = {"client_auth": '"client_secret_jwt"'}
ASSERTION = {"grant": '"jwt_bearer"', "assertion": '{ key = "file:/k.pem" }'}
EXCHANGE = {"grant": '"token_exchange"', "subject_token": '"file:/var/run/t"'}
REFRESH = {"grant": '"refresh_token"'}
NO_CLIENT = {"client_auth": '"none"', "client_secret": None, "client_id": None}
GITHUB = {
    "provider": '"github-app"',
    "token_url": None,
    "vars": '{ installation_id = "1" }',
    "grant": None,
    "client_secret": None,
    "assertion": '{ key = "file:/k.pem" }',
}
FLOW = '{ flow = "device_code", url = "https://id.example/device" }'


def test_the_choices_are_those_of_the_job_and_of_the_catalogue():
    assert request_keys.GRANTS == tuple(needs.USED["grant"]) == row.GRANTS
    assert set(request_keys.CLIENT_AUTHS) == set(needs.USED["client_auth"]) == set(row.CLIENT_AUTHS)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            REFRESH,
            "refresh_token: is required with this grant: a reference to the first refresh token; or write author",
        ),
        (ASSERTION | {"assertion": None}, "assertion: is required with this grant, e.g. assertion = { key ="),
        (ASSERTION | {"assertion": "{}"}, "assertion.key: is required: a reference to the private key"),
        (
            ASSERTION | NO_CLIENT,
            "client_id: is required, or assertion.issuer and assertion.subject: who signs, and for whom",
        ),
        (
            ASSERTION | NO_CLIENT | {"assertion": '{ key = "env:K", issuer = "acme" }'},
            "client_id: is required, or assertion.subject: for whom it is signed",
        ),
        (
            ASSERTION | NO_CLIENT | {"assertion": '{ key = "env:K", subject = "u" }'},
            "client_id: is required, or assertion.issuer: who signs",
        ),
        (ASSERTION | NO_CLIENT | {"assertion": "7"}, "assertion: must be a table"),
        (GITHUB | {"client_id": None}, "client_id: is required, or assertion.issuer: who signs"),
        (GITHUB | {"grant": '"client_credentials"'}, 'grant: must be "jwt_bearer" with provider github-app'),
        (
            GITHUB | {"provider": '"google-service-account"', "vars": None, "grant": '"refresh_token"'},
            'grant: must be "jwt_bearer" with provider google-service-account',
        ),
        (EXCHANGE | {"subject_token": None}, 'subject_token: is required with this grant: a reference, or "job:NAME"'),
        (EXCHANGE | {"subject_token": '"job:/x"'}, 'subject_token: another job\'s token is "job:" and the name of its'),
        (EXCHANGE | {"subject_token": '"eyJhbGci"'}, "subject_token: a secret stands here in the clear"),
        (EXCHANGE | {"subject_token_type": '"jwt"'}, "subject_token_type: must be a URI, e.g."),
        (
            {"assertion": '{ key = "env:K" }'},
            "assertion: is not used with grant client_credentials: take it out, or wr",
        ),
        ({"subject_token": '"env:K"'}, "subject_token: is not used with grant client_credentials"),
        (
            {"authorize": FLOW},
            'authorize: is not used with grant client_credentials: take it out, or write grant = "re',
        ),
        (
            ASSERTION | {"username": '"u"'},
            'username: is not used with grant jwt_bearer: take it out, or write grant = "',
        ),
        (SIGNED, "client_key: is required with client_auth private_key_jwt, or client_assertion"),
        (SIGNED | {"client_key": "{}"}, "client_key.key: is required: a reference to the private key"),
        (
            SIGNED | {"client_key": '{ key = "file:/k.pem" }', "client_assertion": '"file:/a"'},
            "client_assertion: stands beside client_key: write one of the two",
        ),
        (SIGNED | {"client_key": '{ key = "-----BEGIN" }'}, "client_key.key: a secret stands here in the clear"),
        (
            SIGNED | {"client_key": '{ key = "env:K", algorithm = "HS256" }'},
            'client_key.algorithm: must be "RS256", "RS384", "RS512", "PS256",',
        ),
        (
            SIGNED | {"client_key": '{ key = "env:K", algorithm = "RS255" }'},
            'client_key.algorithm: must be "RS256", "RS384",',
        ),
        (
            {"client_auth": '"private_key_jwt"', "client_key": '{ key = "env:K" }'},
            'client_secret: is not used with client_auth private_key_jwt: take it out, or write client_auth = "basic",',
        ),
        ({"client_key": '{ key = "env:K" }'}, "client_key: is not used with client_auth basic: take it out, or write"),
        ({"client_assertion": '"file:/a"'}, "client_assertion: is not used with client_auth basic: take it out, or"),
        (HS | {"client_secret": None}, "client_secret: is required"),
        (HS | {"client_key": '{ key = "env:K" }'}, "client_key.key: is not used with client_secret_jwt, where the cli"),
        (HS | {"client_key": '{ algorithm = "ES256" }'}, 'client_key.algorithm: must be "HS256", "HS384" or "HS512"'),
        ({"client_auth": '"tls"', "client_secret": None}, "cert_file: is required with client_auth tls: the client's"),
        ({"client_auth": '"tls"', "cert_file": '"/c"'}, "client_secret: is not used with client_auth tls: take it out"),
        ({"key_file": '"/k.pem"'}, "cert_file: is required with key_file: the certificate of that key"),
        (REFRESH | NO_CLIENT | {"refresh_token": '"env:R"'}, "client_id: is required"),
        (
            {"client_secret": '["env:A"]', "client_auth": '"none"', **REFRESH, "refresh_token": '"env:R"'},
            "client_secret",
        ),
        ({"client_secret": "[]"}, "client_secret: must be a reference, or a list of two different ones"),
        (
            {"client_secret": '["env:A", "env:A"]'},
            "client_secret: must be a reference, or a list of two different ones",
        ),
        ({"client_secret": '["env:A", "env:B", "env:C"]'}, "client_secret: must be a reference, or a list of two"),
        ({"client_secret": '["env:A", "hunter2"]'}, "client_secret: a secret stands here in the clear"),
        ({"client_secret": '["env:A", "vault:eu:a/b#c"]'}, "client_secret: names a cluster that has no table"),
        (SIGNED | {"client_key": '{ key = "vault:eu:a/b#c" }'}, "client_key.key: names a cluster that has no table"),
        (REFRESH | {"authorize": "{}"}, 'authorize.flow: is required: "device_code", or "authorization_code"'),
        (
            REFRESH | {"authorize": '{ flow = "implicit" }'},
            'authorize.flow: must be "device_code" or "authorization_code',
        ),
        (REFRESH | {"authorize": '{ flow = "device_code" }'}, "authorize.url: is required where no issuer leads to it"),
        (
            REFRESH | {"authorize": FLOW.replace(" }", ", redirect_port = 80 }")},
            "authorize.redirect_port: is not used with device_code: no browser comes back",
        ),
        (
            REFRESH | {"authorize": FLOW.replace(" }", ', params = { state = "x" } }')},
            'authorize.params: "state" is set by the job itself',
        ),
        (REFRESH | {"authorize": FLOW.replace("https", "http")}, 'authorize.url: must begin with "https://"'),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    (told,) = mistakes(VAULT + job(**keys))
    assert told.startswith(f"jobs.toml: [jobs.crm] {line}")
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("keys", "shape"),
    [
        (SIGNED | {"client_key": '{ key = "file:/k.pem" }'}, {"client_key": Signing(key=KEY, algorithm="RS256")}),
        (
            SIGNED
            | {
                "client_key": '{ key = "file:/k.pem", algorithm = "ES256", key_id = "1", certificate = "file:/k.pem", '
                'audience = "https://id.example", lifetime = "2m" }'
            },
            {
                "client_key": Signing(
                    key=KEY,
                    algorithm="ES256",
                    key_id="1",
                    certificate=KEY,
                    audience="https://id.example",
                    lifetime=timedelta(minutes=2),
                )
            },
        ),
        (SIGNED | {"client_assertion": '"file:/k.pem"'}, {"client_assertion": KEY}),
        (HS, {}),
        (HS | {"client_key": '{ key_id = "1" }'}, {"client_key": Signing(key=SECRET, algorithm="HS256", key_id="1")}),
        (HS | {"client_key": '{ algorithm = "HS512" }'}, {"client_key": Signing(key=SECRET, algorithm="HS512")}),
        ({"client_secret": '["file:/etc/refresher/crm.secret", "file:/k.pem"]'}, {"next_client_secret": KEY}),
        (
            {"client_auth": '"tls"', "client_secret": None, "cert_file": '"/c.pem"', "key_file": '"/k.pem"'},
            {"channel": Channel(cert_file=Path("/c.pem"), key_file=Path("/k.pem"))},
        ),
        (ASSERTION, {"assertion": Signing(key=KEY)}),
        (
            ASSERTION
            | {
                "assertion": '{ key = "file:/k.pem", issuer = "i", subject = "s", algorithm = "HS256", '
                'claims = { tenant = "t" } }'
            },
            {"assertion": Signing(key=KEY, issuer="i", subject="s", algorithm="HS256", claims=(("tenant", "t"),))},
        ),
        (EXCHANGE, {"subject_token": Reference(kind="file", target="/var/run/t")}),
        (
            EXCHANGE | {"subject_token_type": '"urn:ietf:params:oauth:token-type:jwt"'},
            {
                "subject_token": Reference(kind="file", target="/var/run/t"),
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            },
        ),
        (
            REFRESH | {"authorize": FLOW},
            {"consent": Consent(flow="device_code", url="https://id.example/device")},
        ),
        (
            REFRESH
            | {
                "authorize": '{ flow = "authorization_code", url = "https://id.example/a", redirect_port = 8765, '
                'params = { access_type = "offline" } }'
            },
            {
                "consent": Consent(
                    flow="authorization_code",
                    url="https://id.example/a",
                    redirect_port=8765,
                    params=(("access_type", "offline"),),
                )
            },
        ),
    ],
)
def test_what_becomes_of_it(load, keys, shape):
    settings = load(VAULT + job(**keys))
    found = settings.jobs["crm"]
    stated = {key: getattr(found.shape, key) for key in type(found.shape).__slots__}
    plain = {key: getattr(PLAIN_SHAPE, key) for key in stated}
    assert {key: value for key, value in stated.items() if value != plain[key]} == shape
    assert settings.warnings == ()


@pytest.mark.parametrize(
    "keys",
    [
        ASSERTION | NO_CLIENT | {"assertion": '{ key = "env:K", issuer = "acme", subject = "u" }'},
        GITHUB | NO_CLIENT | {"assertion": '{ key = "env:K", issuer = "Iv1" }'},
        EXCHANGE | NO_CLIENT,
    ],
)
def test_an_assertion_may_speak_for_a_client_without_a_name(load, keys):
    found = load(VAULT + job(**keys)).jobs["crm"]
    assert (found.client_id, found.client_auth, found.client_secret) == ("", "none", None)


def test_what_defaults_state_and_the_choice_does_not_use_is_left_out(load):
    defaults = (
        '[defaults]\nusername = "u"\npassword = "env:P"\nclient_secret = ["env:A", "env:B"]\n'
        'client_key = { key = "env:K" }\nassertion = { key = "env:K" }\nsubject_token = "job:crm"\n'
        'subject_token_type = "urn:x:y"\n'
    )
    keys = {"client_auth": '"none"', "client_secret": None, "grant": '"refresh_token"', "refresh_token": '"env:R"'}
    found = load(VAULT + defaults + job(**keys)).jobs["crm"]
    assert set(found.references()) == {"refresh_token"}
    assert (found.username, found.shape) == (None, PLAIN_SHAPE)


def test_the_order_of_two_secrets_is_the_file_s(load):
    found = load(VAULT + job(client_secret='["env:NEW", "env:OLD"]')).jobs["crm"]
    assert (str(found.client_secret), str(found.shape.next_client_secret)) == ("env:NEW", "env:OLD")


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"client_auth": '"none"', "client_secret": None}, "client_auth: nothing proves the client with none"),
        (
            {
                "provider": '"spotify"',
                "token_url": None,
                "grant": '"password"',
                "username": '"u"',
                "password": '"env:P"',
            },
            "grant: spotify is known to offer",
        ),
        (
            SIGNED | {"client_key": '{ key = "vault:secret/data/crm#k" }'},
            'client_key.key: a vault reference is written without "data/"',
        ),
    ],
)
def test_odd_but_allowed(load, keys, warning):
    assert any(f"[jobs.crm] {warning}" in line for line in load(VAULT + job(**keys)).warnings)


def test_a_password_that_the_provider_itself_asks_for_is_not_odd(load):
    keys = {"provider": '"semansys"', "environment": '"pre"', "token_url": None, "username": '"u"'}
    assert load(VAULT + job(**keys, grant=None, password='"env:P"')).warnings == ()
