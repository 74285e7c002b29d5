"""An issuer's metadata: where they stand, what they must say, and what is taken from them."""

import json

import pytest

from refresher.core.model import HttpResponse
from refresher.providers.discovery import Metadata, UnusableMetadataError, addresses, read
from tests.fakes.http import answer

ISSUER = "https://id.example.com/realms/acme"
TOKEN = "https://id.example.com/token"


@pytest.mark.parametrize(
    ("issuer", "by_oauth", "by_openid"),
    [
        ("https://a.example", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        ("https://a.example/", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
        (
            "https://a.example/b/c",
            "/.well-known/oauth-authorization-server/b/c",
            "/b/c/.well-known/openid-configuration",
        ),
        (
            "https://a.example/b/c/",
            "/.well-known/oauth-authorization-server/b/c",
            "/b/c/.well-known/openid-configuration",
        ),
        (
            "http://[::1]:8080/b",
            "/.well-known/oauth-authorization-server/b",
            "/b/.well-known/openid-configuration",
        ),
    ],
)
def test_where_the_metadata_stand(issuer, by_oauth, by_openid):
    origin = "/".join(issuer.split("/")[:3])

    assert addresses(issuer) == (origin + by_oauth, origin + by_openid)


def metadata(**members):
    return answer(200, {"issuer": ISSUER, "token_endpoint": TOKEN} | members)


def test_what_is_taken():
    found = read(
        metadata(
            introspection_endpoint="https://id.example.com/introspect",
            device_authorization_endpoint="https://devices.example.com/code?tenant=acme",
            authorization_endpoint="https://id.example.com/login",
            jwks_uri="http://anything",
        ),
        ISSUER,
    )

    assert found == Metadata(
        issuer=ISSUER,
        token_endpoint=TOKEN,
        introspection_endpoint="https://id.example.com/introspect",
        device_authorization_endpoint="https://devices.example.com/code?tenant=acme",
        authorization_endpoint="https://id.example.com/login",
    )


ALIASES = {"token_endpoint": "https://mtls.example.com/token"}


@pytest.mark.parametrize(("mtls", "where"), [(True, ALIASES["token_endpoint"]), (False, TOKEN)])
def test_a_client_with_a_certificate_uses_the_alias(mtls, where):
    found = read(
        metadata(mtls_endpoint_aliases=ALIASES, introspection_endpoint="https://id.example.com/i"), ISSUER, mtls=mtls
    )

    assert (found.token_endpoint, found.introspection_endpoint) == (where, "https://id.example.com/i")


@pytest.mark.parametrize("aliases", ["CANARY", ["CANARY"], {"token_endpoint": None}, {}])
def test_aliases_that_are_none_do_not_matter(aliases):
    assert read(metadata(mtls_endpoint_aliases=aliases), ISSUER, mtls=True).token_endpoint == TOKEN


NOWHERE = "names no token endpoint that a secret may be sent to"


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "",
        42,
        ["https://id.example.com/token"],
        "http://id.example.com/token",
        "http://127.0.0.1/token",
        "https://user:CANARY@id.example.com/token",
        "https://169.254.169.254/token",
        "https://[fe80::1%25eth0]/token",
        "https://[fd00::1%25eth0]/token",
        "https://[::ffff:169.254.169.254]/token",
        "https://id.example.com:0/token",
        "https://id.example.com:x/token",
        "https://[1/token",
        "https:///token",
        "https://id.example.com/token#CANARY",
        "https://id.example.com/to ken",
        "https://id.example.com/\n",
        "https://id.example.com/\\token",
        "ftp://id.example.com/token",
        "//id.example.com/token",
        "https://id.example.com/" + "x" * 2048,
    ],
)
def test_no_secret_is_sent_to_a_strange_endpoint(endpoint):
    with pytest.raises(UnusableMetadataError) as caught:
        read(metadata(token_endpoint=endpoint), ISSUER)

    assert str(caught.value) == NOWHERE


def test_an_issuer_on_this_machine_may_name_endpoints_on_it():
    issuer = "http://127.0.0.1:8080"
    taken = {"http://localhost:8080/token", "http://[::1]:8080/token", "https://id.example.com/token"}
    for endpoint in taken:
        assert read(metadata(issuer=issuer, token_endpoint=endpoint), issuer).token_endpoint == endpoint
    with pytest.raises(UnusableMetadataError):
        read(metadata(issuer=issuer, token_endpoint="http://id.example.com/token"), issuer)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        (None, "states no issuer"),
        (["CANARY"], "states no issuer"),
        ("CANARY", "states another issuer"),
        (ISSUER.upper(), "states another issuer"),
        (ISSUER + "/", f'states the issuer with another end: write issuer = "{ISSUER}/"'),
        (ISSUER + "//", "states another issuer"),
    ],
)
def test_another_issuer_is_never_taken_for_this_one(stated, told):
    with pytest.raises(UnusableMetadataError) as caught:
        read(metadata(issuer=stated), ISSUER)

    assert str(caught.value) == told


def test_an_end_too_much_is_told_as_well():
    with pytest.raises(UnusableMetadataError) as caught:
        read(metadata(), ISSUER + "/")

    assert str(caught.value) == f'states the issuer with another end: write issuer = "{ISSUER}"'


TWICE = json.dumps({"issuer": ISSUER, "token_endpoint": TOKEN})[:-1] + f', "issuer": "{ISSUER}"}}'


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (answer(404, {"error": "CANARY"}), "HTTP 404"),
        (answer(302, location="https://CANARY"), "HTTP 302"),
        (answer(200, b"<html>CANARY"), "is no JSON object"),
        (answer(200, b'["CANARY"]'), "is no JSON object"),
        (answer(200, b"\xff"), "is no JSON object"),
        (answer(200, TWICE.encode()), "states something twice"),
        (answer(200, b"{}", content_encoding="br"), "is compressed in a way that was not asked for"),
        (HttpResponse(status=200, body=b"{", truncated=True), "is larger than 1 MiB"),
    ],
)
def test_what_is_no_metadata_is_told_in_words_of_ours(response, told):
    with pytest.raises(UnusableMetadataError) as caught:
        read(response, ISSUER)

    assert str(caught.value) == told
