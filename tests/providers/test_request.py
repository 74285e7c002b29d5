"""Token requests: what goes in the form, what in the header, and what is refused before it is sent."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refresher import __version__
from refresher.core.errors import UnreadableReferenceError
from refresher.core.job import Shape
from refresher.core.model import Channel, HttpRequest, Reference
from refresher.core.secret import Secret
from refresher.providers import has_special_characters, prove
from tests.core.builders import NOW, a_job
from tests.providers.requests import form, request_of

SPECIAL = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ é€😀"
SENDABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)
EXCHANGE = Shape(subject_token=Reference(kind="vault", target="secret/tokens/user", field="access_token"))


def basic(request: HttpRequest) -> str:
    scheme, _, value = dict(request.headers)["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(value, validate=True).decode()


def test_client_credentials():
    job = a_job(scope=("read", "write"), params=(("audience", "https://api.example.com"),))
    request = request_of(job, client_secret="s")
    assert (request.method, request.url) == ("POST", "https://crm.example.com/oauth/token")
    assert request.body == (b"grant_type=client_credentials&scope=read%20write&audience=https%3A%2F%2Fapi.example.com")
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": "Basic YWNtZTpz",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"refresher/{__version__}",
    }


def test_a_job_may_name_the_application_that_asks():
    headers = dict(request_of(a_job(shape=Shape(headers=(("user-agent", "acme/1 (ops)"),))), client_secret="s").headers)
    assert headers["user-agent"] == "acme/1 (ops)"
    assert "User-Agent" not in headers


def test_password():
    job = a_job(grant="password", username="api@acme.example", client_auth="post")
    request = request_of(job, client_secret="s", password="p&q")
    assert "Authorization" not in dict(request.headers)
    assert form(request) == {
        "grant_type": "password",
        "username": "api@acme.example",
        "password": "p&q",
        "client_id": "acme",
        "client_secret": "s",
    }


@pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token", "token_exchange"])
def test_a_refresh_asks_for_no_scope(grant):
    job = a_job(grant=grant, scope=("read",), params=(("audience", "a"),))
    request = request_of(job, "refresh_token", client_secret="s", refresh_token="r=1")
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r=1", "audience": "a"}


def test_token_exchange():
    wanted = "urn:ietf:params:oauth:token-type:jwt"
    params = (("resource", "https://a.example"), ("resource", "https://b.example"), ("requested_token_type", wanted))
    job = a_job(grant="token_exchange", shape=EXCHANGE, scope=("read",), params=params)
    request = request_of(job, client_secret="s", subject_token="user+token")
    assert parse_qsl(request.body.decode()) == [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", "user+token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("scope", "read"),
        *params,
    ]


@pytest.mark.parametrize("client_auth", ["none", "tls"])
def test_a_client_that_sends_no_secret_still_says_who_it_is(client_auth):
    assert form(request_of(a_job(client_auth=client_auth))) == {
        "grant_type": "client_credentials",
        "client_id": "acme",
    }


def test_none_may_be_nobody_at_all():
    """Where an assertion or a token says it all, as RFC 7523 section 2.1 and RFC 8693 section 2.1 allow."""
    job = a_job(grant="token_exchange", shape=EXCHANGE, client_auth="none", client_id="")
    assert "client_id" not in form(request_of(job, subject_token="t"))


def test_a_param_wins_over_what_the_grant_says():
    job = a_job(params=(("grant_type", "account_credentials"), ("account_id", "7")))
    assert form(request_of(job, client_secret="s")) == {"grant_type": "account_credentials", "account_id": "7"}


def test_a_json_body():
    shape = Shape(body="json")
    params = (("resource", "a"), ("resource", "b"), ("audience", "é"))
    request = request_of(a_job(shape=shape, client_auth="post", params=params), client_secret=SPECIAL)
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "client_credentials",
        "client_id": "acme",
        "client_secret": SPECIAL,
        "resource": ["a", "b"],
        "audience": "é",
    }


@pytest.mark.parametrize(
    ("token_url", "start"),
    [("https://crm.example.com/t", "grant_type="), ("https://crm.example.com/t?tenant=7", "tenant=7&grant_type=")],
)
def test_get_has_everything_in_the_query_and_shows_nothing_of_it(canaries, token_url, start):
    secret = canaries.plant("client_secret", odd=SPECIAL)
    job = a_job(token_url=token_url, shape=Shape(method="GET"), client_auth="post")
    request = request_of(job, client_secret=secret)
    assert (request.method, request.body) == ("GET", b"")
    assert "Content-Type" not in dict(request.headers)
    assert urlsplit(request.url).query.startswith(start)
    assert dict(parse_qsl(urlsplit(request.url).query, strict_parsing=True))["client_secret"] == secret
    canaries.check(repr(request), str(request))


def test_a_header_of_the_job_takes_the_place_of_ours_but_never_of_the_proof():
    headers = (("accept", "application/vnd.example+json"), ("X-Tenant", "7"), ("authorization", "Bearer of somebody"))
    request = request_of(a_job(shape=Shape(headers=headers)), client_secret="s")
    names = [name.lower() for name, _ in request.headers]
    assert len(names) == len(set(names))
    assert {"accept": "application/vnd.example+json", "X-Tenant": "7", "Authorization": "Basic YWNtZTpz"}.items() <= (
        dict(request.headers).items()
    )


def test_a_request_goes_by_the_channel_of_its_job():
    channel = Channel(ca_file=Path("/etc/ssl/corp.pem"))
    assert request_of(a_job(shape=Shape(channel=channel)), client_secret="s").channel is channel
    assert request_of(a_job(), client_secret="s").channel is None


@given(client_id=SENDABLE, secret=SENDABLE)
@example(client_id=SPECIAL, secret=SPECIAL)
def test_every_character_arrives(client_id, secret):
    """As the server reads it back, by each way of client authentication."""
    escaped = request_of(a_job(client_id=client_id), client_secret=secret)
    assert [unquote(part) for part in basic(escaped).split(":")] == [client_id, secret]
    posted = request_of(a_job(client_id=client_id, client_auth="post"), client_secret=secret)
    assert (form(posted)["client_id"], form(posted)["client_secret"]) == (client_id, secret)
    asked = request_of(a_job(client_id=client_id, client_auth="post", shape=Shape(method="GET")), client_secret=secret)
    assert dict(parse_qsl(urlsplit(asked.url).query, keep_blank_values=True))["client_secret"] == secret
    name = client_id.replace(":", "")
    if name:
        raw = request_of(a_job(client_id=name, client_auth="basic_raw"), client_secret=secret)
        assert basic(raw) == f"{name}:{secret}"
        plain = basic(request_of(a_job(client_id=name), client_secret=secret))
        assert has_special_characters(name, Secret(secret)) == (basic(raw) != plain)
    for request in (escaped, posted):
        assert all(re.fullmatch(r"[\x20-\x7e]+", text) for header in request.headers for text in header)


@pytest.mark.parametrize(
    ("text", "special"),
    [("abc-123_.~", False), ("a b", True), ("a:b", True), ("a+b", True), ("é", True), ("a/b", True)],
)
def test_special_characters(text, special):
    assert has_special_characters("acme", Secret(text)) is special
    assert has_special_characters(text, Secret("s")) is special
    assert has_special_characters("acme", Secret("\ud800"))


def test_a_space_is_never_a_plus():
    """A server that does not read + as a space would see another secret."""
    request = request_of(a_job(client_auth="post"), client_secret="a b+c")
    assert b"client_secret=a%20b%2Bc" in request.body


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (None, "missing"),
        ("", "missing"),
        ("s3cr3t\n", "line feed"),
        ("s3\rcr3t", "control"),
        ("s3\x00cr3t", "control"),
        ("s3\x7fcr3t", "control"),
        ("s3\ud800cr3t", "Unicode"),
    ],
)
def test_a_secret_that_can_not_be_sent_is_refused_by_its_reference(secret, why):
    job = a_job(client_secret=Reference(kind="file", target="/etc/refresher/crm.secret"))
    with pytest.raises(
        UnreadableReferenceError, match=rf"client_secret \(file:/etc/refresher/crm\.secret\): .*{why}"
    ) as told:
        request_of(job, **({} if secret is None else {"client_secret": secret}))
    assert "cr3t" not in str(told.value)


@pytest.mark.parametrize(
    ("lacks", "changes"),
    [
        ("password", {"grant": "password", "username": "u"}),
        ("username", {"grant": "password"}),
        ("refresh_token", {"grant": "refresh_token"}),
        ("client_id", {"client_id": ""}),
        ("subject_token", {"grant": "token_exchange"}),
        ("assertion.key", {"grant": "jwt_bearer"}),
        ("assertion.key", {"shape": Shape(dialect="github_app")}),
        ("assertion.key", {"shape": Shape(dialect="google_service_account")}),
        ("client_key.key", {"client_auth": "private_key_jwt"}),
        ("client_key.key", {"client_auth": "client_secret_jwt"}),
    ],
)
def test_what_a_grant_or_a_proof_needs(lacks, changes):
    with pytest.raises(UnreadableReferenceError, match=rf"^{lacks}: is missing or empty$"):
        request_of(a_job(**changes), client_secret="s")


@pytest.mark.parametrize("changes", [{"grant": "device_code"}, {"client_auth": "magic"}, {"shape": Shape(dialect="x")}])
def test_a_word_that_nobody_taught_it_is_a_bug(changes):
    """Not a request that lacks something."""
    with pytest.raises(AssertionError):
        request_of(a_job(**changes), client_secret="s")


def test_basic_raw_can_not_send_a_colon_in_the_name():
    job = a_job(client_id="urn:acme", client_auth="basic_raw")
    with pytest.raises(UnreadableReferenceError, match="client_id: holds a colon"):
        request_of(job, client_secret="s")
    assert basic(request_of(a_job(client_id="urn:acme"), client_secret="s")) == "urn%3Aacme:s"


@pytest.mark.leak("L29")
def test_a_request_shows_no_secret(canaries):
    job = a_job(grant="password", username="u", client_auth="post")
    texts = {name: canaries.plant(name, odd="&é") for name in ("client_secret", "password")}
    request = request_of(job, **texts)
    proof = prove(job, {name: Secret(text) for name, text in texts.items()}, now=NOW, nonce="n")
    canaries.check(repr(request), str(request), repr(proof))
    with pytest.raises(AssertionError):
        canaries.check(request.body)
