"""Endpoints by issuer, from the metadata of a real server."""

import json

import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture
def found(site, oidc_provider):
    """A job that knows the issuer alone."""
    site.add("api", oidc_provider, ttl=12, max_age="4s")
    del site.jobs["api"]["token_url"]
    site.jobs["api"]["issuer"] = oidc_provider.url
    return site


def once(site):
    site.write()
    done = site.run("once", "--json")
    whys = [line["why"] for line in map(json.loads, done.stderr.splitlines()) if "why" in line]
    return json.loads(done.stdout), whys


def test_the_issuer_leads_to_the_token_endpoint(found, oidc_provider):
    with found.daemon() as daemon:
        for _ in range(3):
            line = daemon.wait_for("rotated", job="api")
        assert oidc_provider.accepts(found.token("api")["access_token"])
        assert daemon.stop() == 0

    assert "verified" not in line
    assert oidc_provider.stats().of("api-client").outcomes == {"200": len(daemon.lines("rotated"))}


def test_the_issuer_leads_to_introspection(found, oidc_provider):
    found.jobs["api"]["verify"] = "introspect"
    with found.daemon() as daemon:
        assert daemon.wait_for("rotated", job="api")["verified"] is True
        assert oidc_provider.accepts(found.token("api")["access_token"])


def test_a_server_that_calls_itself_another_name_is_not_believed(found, oidc_provider):
    found.jobs["api"]["issuer"] = oidc_provider.url.replace("127.0.0.1", "localhost")

    ended, (why,) = once(found)
    checked = found.run("check", "--live")

    assert (checked.returncode, len(checked.stderr.splitlines())) == (1, 1)
    assert "[jobs.api] issuer: http://localhost" in checked.stderr
    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "discovery")
    assert why.endswith("/.well-known/openid-configuration states another issuer")
    assert oidc_provider.stats().total == 0, "no secret was sent there"


def test_a_slash_too_much_is_told(found, oidc_provider):
    found.jobs["api"]["issuer"] += "/"

    ended, (why,) = once(found)

    assert ended["error"] == "discovery"
    assert f'write issuer = "{oidc_provider.url}"' in why


def test_a_server_without_metadata_is_told_by_both_addresses(found, oauth2):
    found.jobs["api"]["issuer"] = oauth2.url

    _, (why,) = once(found)

    assert why == (
        f"discovery: {oauth2.url}/.well-known/oauth-authorization-server HTTP 404; "
        f"{oauth2.url}/.well-known/openid-configuration HTTP 404"
    )


def test_an_issuer_that_is_away_is_a_passing_trouble(found):
    found.jobs["api"]["issuer"] = "http://127.0.0.1:9"

    ended, (why,) = once(found)

    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "transport")
    assert why.endswith("/.well-known/oauth-authorization-server: connection refused")
