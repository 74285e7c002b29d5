"""A new token is tried at a real server before it replaces the old one."""

import json
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.e2e


def once(site):
    """Walk the job, as soon as nothing holds it back, and return its outcome and the event that tells of it."""
    site.write()
    ended = {"reason": "backoff"}
    while ended["reason"] == "backoff":  # a second or so after a failure
        done = site.run("once", "--force", "--json")
        ended = json.loads(done.stdout)
    events = {"rotated", "failing", "rotation_rejected"}
    (told,) = [line for line in map(json.loads, done.stderr.splitlines()) if line["event"] in events]
    return ended, told


def test_a_token_that_its_api_takes_is_published(site, oauth2):
    site.add("api", oauth2, verify={"url": f"{oauth2.url}/api"})

    ended, told = once(site)

    assert (ended["outcome"], told["verified"]) == ("rotated", True)
    assert oauth2.accepts(site.token("api")["access_token"])


def test_a_token_that_its_api_refuses_replaces_nothing(site, oauth2, oidc_provider):
    site.add("api", oauth2)
    once(site)
    before = site.token("api")
    site.jobs["api"]["verify"] = {"url": f"{oidc_provider.url}/api"}  # it knows nothing of the other server's tokens

    ended, told = once(site)

    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "verify_refused")
    assert told["why"].startswith(f"verify_refused: the new token is refused at {oidc_provider.url}/api;")
    assert site.token("api") == before
    assert oauth2.stats().of("api-client").total == 2


def test_what_is_single_use_is_kept_although_the_token_is_withheld(site, semansys, oidc_provider):
    site.add("api", semansys, verify={"url": f"{oidc_provider.url}/api"})

    grants = []
    for _ in range(2):
        ended, told = once(site)
        assert ended["error"] == "verify_refused"
        grants.append(told["grant"])

    assert grants == ["password", "refresh_token"], "the refresh token of the withheld answer is used"
    assert site.token("api") is None
    assert site.read("refresher/default/api")["generation"] == "2"
    assert semansys.stats().refresh_reused == 0


@pytest.mark.parametrize("how", ["away", "drops", "does not know", "redirects"])
def test_a_verifier_that_can_not_say_withholds_nothing(site, oauth2, node_oauth2, how):
    urls = {
        "away": "http://127.0.0.1:9/api",
        "drops": f"{node_oauth2.url}/api",
        "does not know": f"{node_oauth2.url}/nowhere",
        "redirects": f"{oauth2.url}/api",
    }
    if how == "drops":
        node_oauth2.control(outage=True)
    status = {"status": 204} if how == "redirects" else {}  # any answer that is neither the one nor a refusal
    site.add("api", oauth2, verify={"url": urls[how]} | status)

    ended, told = once(site)

    assert (ended["outcome"], told["verified"]) == ("rotated", False)
    assert oauth2.accepts(site.token("api")["access_token"])


@pytest.mark.parametrize(("auth", "verified"), [("basic", True), ("post", True), ("wrong", False)])
def test_introspection_is_asked_as_the_client(site, oidc_provider, auth, verified):
    site.add("api", oidc_provider, verify={"introspect": f"{oidc_provider.url}/token/introspection"})
    if auth == "post":
        secret = (site.folder / "api.secret").read_text()
        oidc_provider.add_client("api-client", secret=secret, auth="post")
        site.jobs["api"]["client_auth"] = "post"
    if auth == "wrong":
        site.jobs["api"]["verify"] = {"introspect": f"{oidc_provider.url}/nowhere"}

    ended, told = once(site)

    assert (ended["outcome"], told["verified"]) == ("rotated", verified)


def test_an_inactive_token_is_withheld(site, oauth2, oidc_provider):
    """The introspecting server knows the client and not the token: it says `active: false`."""
    site.add("api", oauth2, client_auth="basic", verify={"introspect": f"{oidc_provider.url}/token/introspection"})
    secret = (site.folder / "api.secret").read_text()
    oidc_provider.add_client("api-client", secret=secret)

    ended, told = once(site)

    assert ended["error"] == "verify_refused"
    assert "by introspection" in told["why"]
    assert site.token("api") is None
    assert urlsplit(oidc_provider.url).netloc not in told["why"]
