"""Token requests: what goes in the form, what in the header, and what is refused before it is sent."""

import base64
import re
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refresher import __version__
from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import HttpRequest, Reference
from refresher.core.secret import Secret
from refresher.providers import build, has_special_characters
from tests.core.builders import a_job

SPECIAL = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ é€😀"
SENDABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1)


def form(request: HttpRequest) -> dict[str, str]:
    pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)  # RFC 6749 section 3.2: never twice
    return dict(pairs)


def basic(request: HttpRequest) -> str:
    scheme, _, value = dict(request.headers)["Authorization"].partition(" ")
    assert scheme == "Basic"
    return base64.b64decode(value, validate=True).decode()


def test_client_credentials():
    job = a_job(scope=("read", "write"), params=(("audience", "https://api.example.com"),))
    request = build(job, "client_credentials", client_secret=Secret("s"))
    assert (request.method, request.url) == ("POST", "https://crm.example.com/oauth/token")
    assert request.body == (b"grant_type=client_credentials&scope=read%20write&audience=https%3A%2F%2Fapi.example.com")
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Authorization": "Basic YWNtZTpz",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": f"refresher/{__version__}",
    }


def test_password():
    job = a_job(grant="password", username="api@acme.example", client_auth="post")
    request = build(job, "password", client_secret=Secret("s"), password=Secret("p&q"))
    assert "Authorization" not in dict(request.headers)
    assert form(request) == {
        "grant_type": "password",
        "username": "api@acme.example",
        "password": "p&q",
        "client_id": "acme",
        "client_secret": "s",
    }


@pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token"])
def test_a_refresh_asks_for_no_scope(grant):
    job = a_job(grant=grant, scope=("read",), params=(("audience", "a"),))
    request = build(job, "refresh_token", client_secret=Secret("s"), refresh_token=Secret("r=1"))
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r=1", "audience": "a"}


@given(client_id=SENDABLE, secret=SENDABLE)
@example(client_id=SPECIAL, secret=SPECIAL)
def test_every_character_arrives(client_id, secret):
    """As the server reads it back, by each way of client authentication."""
    escaped = build(a_job(client_id=client_id), "client_credentials", client_secret=Secret(secret))
    assert [unquote(part) for part in basic(escaped).split(":")] == [client_id, secret]
    posted = build(a_job(client_id=client_id, client_auth="post"), "client_credentials", client_secret=Secret(secret))
    assert (form(posted)["client_id"], form(posted)["client_secret"]) == (client_id, secret)
    name = client_id.replace(":", "")
    if name:
        raw = build(a_job(client_id=name, client_auth="basic_raw"), "client_credentials", client_secret=Secret(secret))
        assert basic(raw) == f"{name}:{secret}"
        assert has_special_characters(name, Secret(secret)) == (basic(raw) != _basic_of(name, secret))
    for request in (escaped, posted):
        assert all(re.fullmatch(r"[\x20-\x7e]+", text) for header in request.headers for text in header)


def _basic_of(client_id: str, secret: str) -> str:
    return basic(build(a_job(client_id=client_id), "client_credentials", client_secret=Secret(secret)))


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
    request = build(a_job(client_auth="post"), "client_credentials", client_secret=Secret("a b+c"))
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
        build(job, "client_credentials", client_secret=None if secret is None else Secret(secret))
    assert "cr3t" not in str(told.value)


def test_what_each_grant_needs():
    with pytest.raises(UnreadableReferenceError, match=r"^password: is missing"):
        build(a_job(grant="password", username="u"), "password", client_secret=Secret("s"))
    with pytest.raises(UnreadableReferenceError, match=r"^username: is missing"):
        build(a_job(grant="password"), "password", client_secret=Secret("s"), password=Secret("p"))
    with pytest.raises(UnreadableReferenceError, match=r"^refresh_token: is missing"):
        build(a_job(), "refresh_token", client_secret=Secret("s"))
    with pytest.raises(UnreadableReferenceError, match=r"^client_id: is missing"):
        build(a_job(client_id=""), "client_credentials", client_secret=Secret("s"))


def test_a_word_that_nobody_taught_it_is_a_bug():
    """Not a request that lacks something."""
    with pytest.raises(AssertionError, match="device_code"):
        build(a_job(), "device_code", client_secret=Secret("s"))
    with pytest.raises(AssertionError, match="tls"):
        build(a_job(client_auth="tls"), "client_credentials", client_secret=Secret("s"))


def test_basic_raw_can_not_send_a_colon_in_the_name():
    job = a_job(client_id="urn:acme", client_auth="basic_raw")
    with pytest.raises(UnreadableReferenceError, match="client_id: holds a colon"):
        build(job, "client_credentials", client_secret=Secret("s"))
    assert basic(build(a_job(client_id="urn:acme"), "client_credentials", client_secret=Secret("s"))) == "urn%3Aacme:s"


def test_a_request_shows_no_secret(canaries):
    job = a_job(grant="password", username="u", client_auth="post")
    secrets = {name: Secret(canaries.plant(name, odd="&é")) for name in ("client_secret", "password")}
    request = build(job, "password", **secrets)
    canaries.check(repr(request), str(request))
    with pytest.raises(AssertionError):
        canaries.check(request.body)
