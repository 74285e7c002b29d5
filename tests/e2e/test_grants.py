"""Each grant against a server that has it, and what the server refuses. A person's consent: test_authorize.py."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refresher.core.job import Shape, Signing
from refresher.core.model import Reference
from refresher.core.secret import Secret
from refresher.http import Wire
from refresher.providers import build, interpret
from tests import keys
from tests.core.builders import a_job
from tests.e2e.asking import job, log, once
from tests.e2e.site import Site
from tests.servers.asking import ask
from tests.servers.provider import Provider

pytestmark = pytest.mark.e2e
PARTNER, FILES = "https://api.partner.example", "https://files.partner.example"


def claims(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def registered(site: Site, provider: Provider, name: str = "api", **more: Any) -> None:
    """Add a job and its client, which has a secret."""
    secret = site.canaries.plant(f"{name} client secret", odd="+/= &%")
    provider.add_client(name, secret=secret)
    job(site, provider, name, client_auth=provider.client_auth, client_secret=site.secret(name, secret), **more)


def test_the_usual_grants(site, provider_pool):
    names = ("oidc_provider", "oauth2", "authlib", "jmondi", "node_oauth2")
    providers = {f"at-{number}": provider_pool(name) for number, name in enumerate(names)}
    for at, provider in providers.items():
        user = {"username": provider.username, "password": site.secret(f"user-{at}", provider.password)}
        registered(site, provider, f"client_credentials-{at}")
        registered(site, provider, f"password-{at}", grant="password", **user)
    ended = once(site)
    assert {name: one["outcome"] for name, one in ended.items()} == dict.fromkeys(site.jobs, "rotated")
    for at, provider in providers.items():
        for grant in ("client_credentials", "password"):
            assert provider.accepts(site.token(f"{grant}-{at}")["access_token"])
            assert provider.stats().of(f"{grant}-{at}").grants == {grant: 1}


def test_a_refresh_token_that_somebody_has(site, provider_pool):
    """The first one by reference, the next ones refresher's own; each is used once."""
    providers = {name: provider_pool(name) for name in ("oidc_provider", "oauth2", "jmondi", "node_oauth2")}
    for name, provider in providers.items():
        registered(site, provider, name, grant="refresh_token")
        secret = site.canaries.planted[f"{name} client secret"]
        first = ask(provider, client=name, secret=secret).json()["refresh_token"]
        site.jobs[name]["refresh_token"] = site.secret(f"{name}-refresh", first)
    for words in ((), ("--force",), ("--force",)):
        ended = once(site, *words)
        assert {name: one["outcome"] for name, one in ended.items()} == dict.fromkeys(providers, "rotated")
    for name, provider in providers.items():
        assert provider.accepts(site.token(name)["access_token"])
        assert provider.stats().refresh_reused == 0
        assert provider.stats().of(name).grants == {"password": 1, "refresh_token": 3}


def signed(site: Site, authlib: Provider, name: str = "api", **assertion: Any) -> None:
    """Add a job whose grant is a JWT about the server's user."""
    authlib.add_client(name, auth="none", jwk=keys.public_jwk("RS256"))
    words = {"key": site.secret("key", keys.pem("RSA")), "subject": authlib.username} | assertion
    job(site, authlib, name, grant="jwt_bearer", client_auth="none", assertion=words)


def test_a_signed_grant(site, authlib):
    signed(site, authlib, key_id="k-1", claims={"tenant": "7"})
    for words in ((), ("--force",)):
        ended = once(site, *words)["api"]
        assert ended["outcome"] == "rotated", log(site)
    assert authlib.accepts(site.token("api")["access_token"])
    assert authlib.stats().grants == {"urn:ietf:params:oauth:grant-type:jwt-bearer": 2}


def test_a_signed_grant_that_is_refused(site, authlib):
    wrong = {"audience": "https://somebody.else.example", "subject": "nobody", "issuer": "nobody"}
    wrong["key"] = site.secret("other", keys.pem("other RSA"))
    for name, text in wrong.items():
        signed(site, authlib, name, **{name: text})
    ended = once(site)
    refused = dict.fromkeys(wrong, ("rejected_permanent", "invalid_grant"))
    assert {name: (one["outcome"], one["error"]) for name, one in ended.items()} == refused
    assert "check the assertion's key" in log(site)[0]["why"]


@pytest.mark.parametrize(("off", "granted"), [(0, True), (-3600, False), (3600, False)])
async def test_a_clock_that_is_off_is_refused(authlib, off, granted):
    """What is signed is good for a minute, from the moment that our clock says."""
    authlib.add_client("api", auth="none", jwk=keys.public_jwk("RS256"))
    signing = Signing(key=Reference(kind="env", target="KEY"), subject=authlib.username)
    words = {"token_url": authlib.token_url, "client_id": "api", "client_auth": "none"}
    asked = a_job(grant="jwt_bearer", shape=Shape(assertion=signing), **words)
    now = datetime.now(UTC)
    secrets = {"assertion.key": Secret(keys.pem("RSA"))}
    request = build(asked, "jwt_bearer", secrets, now=now + timedelta(seconds=off), nonce="n-1")
    wire = Wire(deadline=timedelta(seconds=10), keepalive=timedelta())
    try:
        verdict = interpret(await wire.send(request), asked, sent_at=now)
    finally:
        await wire.aclose()
    assert getattr(verdict, "error", None) == (None if granted else "invalid_grant")


def exchanging(site: Site, jmondi: Provider, **more: Any) -> None:
    """Add a job `user` with a token, and a job `partner` that exchanges it."""
    registered(site, jmondi, "partner", grant="token_exchange", subject_token="job:user", **more)
    user = {"username": jmondi.username, "password": site.secret("password", jmondi.password)}
    registered(site, jmondi, "user", grant="password", **user)


def test_a_token_is_exchanged_for_another_in_one_pass(site, jmondi):
    exchanging(site, jmondi, audience=PARTNER, resource=[PARTNER, FILES], scope="read")
    ended = once(site)
    assert {name: one["outcome"] for name, one in ended.items()} == {"user": "rotated", "partner": "rotated"}
    token = site.token("partner")["access_token"]
    assert jmondi.accepts(token)
    assert (claims(token)["sub"], claims(token)["cid"]) == (jmondi.username, "partner")
    assert claims(token)["aud"] == [PARTNER, PARTNER, FILES], "every one that was asked for"
    assert jmondi.stats().of("partner").total == 1, "not asked before there was something to exchange"
    assert not [one for one in log(site) if one["level"] == "error"], "to wait is no trouble"


def test_a_daemons_job_waits_for_the_other(site, jmondi):
    exchanging(site, jmondi)
    jmondi.control(client="user", fail={"status": 503})
    with site.daemon() as daemon:
        awaited = daemon.wait_for("store_failed", job="partner")
        assert (awaited["error"], awaited["level"]) == ("secret_awaited", "warning")
        assert awaited["why"].startswith(f"vault:{site.mount}/tokens/user#access_token: ")
        jmondi.control(client="user", fail=None)
        daemon.wait_for("rotated", job="user", within=30)
        daemon.wait_for("rotated", job="partner", within=10)
        assert daemon.stop() == 0
    assert len(daemon.lines("store_failed", job="partner", level="warning")) == 1
    assert jmondi.accepts(site.token("partner")["access_token"])


def test_an_exchange_that_is_refused(site, jmondi):
    live, dead = ask(jmondi).json()["access_token"], site.canaries.plant("dead token")
    here = "https://elsewhere.example"
    registered(site, jmondi, "target", grant="token_exchange", subject_token=site.secret("live", live), audience=here)
    registered(site, jmondi, "token", grant="token_exchange", subject_token=site.secret("dead", dead))
    ended = once(site)
    assert {name: (one["outcome"], one["error"]) for name, one in ended.items()} == {
        "target": ("rejected_permanent", "invalid_target"),
        "token": ("rejected_permanent", "invalid_grant"),
    }
    why = {one["job"]: one["why"] for one in log(site)}
    assert "check audience and resource" in why["target"]
    assert "the token to exchange" in why["token"]
