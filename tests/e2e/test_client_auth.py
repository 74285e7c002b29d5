"""Each way to prove the client, against servers that hold it to the standards; and what they refuse."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests import keys
from tests.e2e.asking import job, log, once
from tests.e2e.site import Site
from tests.servers.provider import AWKWARD, Provider

pytestmark = pytest.mark.e2e
SHARED = ("HS256", "HS384", "HS512")


def signing(site: Site, provider: Provider, algorithm: str, name: str = "api", **key: Any) -> None:
    """Add a job that proves itself by a JWT, and its client at the server."""
    if algorithm in SHARED:
        provider.add_client(name, secret=keys.LONG_SECRET, auth="client_secret_jwt", alg=algorithm)
        secret = site.secret(f"{name}-secret", keys.LONG_SECRET)
        job(site, provider, name, client_auth="client_secret_jwt", client_secret=secret)
        site.jobs[name]["client_key"] = {"algorithm": algorithm, **key}
    else:
        jwk = keys.public_jwk(algorithm, use="sig", kid="k-1")
        provider.add_client(name, auth="private_key_jwt", alg=algorithm, jwk=jwk)
        private = site.secret(f"{name}-key", keys.pem(keys.KIND_OF[algorithm]))
        key = {"key": private, "algorithm": algorithm, "key_id": "k-1", **key}
        job(site, provider, name, client_auth="private_key_jwt", client_key=key)


def test_every_algorithm_is_believed_each_time(site, oidc_provider):
    """oidc-provider holds a client to its one algorithm and refuses a `jti` that it has seen."""
    algorithms = [*keys.KIND_OF, *SHARED]
    for algorithm in algorithms:
        signing(site, oidc_provider, algorithm, name=algorithm)
    for words in ((), ("--force",)):
        ended = once(site, *words)
        assert {name: one["outcome"] for name, one in ended.items()} == dict.fromkeys(algorithms, "rotated")
    for algorithm in algorithms:
        assert oidc_provider.accepts(site.token(algorithm)["access_token"])


def test_another_server_believes_it_too(site, authlib):
    """Authlib takes the three that the library behind it recommends."""
    for algorithm in ("RS256", "ES256", "HS256"):
        signing(site, authlib, algorithm, name=algorithm)
    for words in ((), ("--force",)):
        assert {one["outcome"] for one in once(site, *words).values()} == {"rotated"}
    assert authlib.accepts(site.token("ES256")["access_token"])


@pytest.mark.parametrize("name", ["oidc_provider", "authlib"])
def test_what_is_not_believed_is_a_refused_client(site, provider_pool, name):
    provider = provider_pool(name)
    for wrong in ("key", "audience", "client", "secret"):
        signing(site, provider, "HS256" if wrong == "secret" else "RS256", wrong)
    site.jobs["key"]["client_key"]["key"] = site.secret("other-key", keys.pem("other RSA"))
    site.jobs["audience"]["client_key"]["audience"] = "https://somebody.else.example"
    site.jobs["client"]["client_id"] = "nobody"
    site.jobs["secret"]["client_secret"] = site.secret("other-secret", keys.LONG_SECRET[::-1])
    ended = once(site)
    refused = dict.fromkeys(site.jobs, ("rejected_permanent", "invalid_client"))
    assert {name: (one["outcome"], one["error"]) for name, one in ended.items()} == refused
    assert all("check client_id, the key that signs" in line["why"] for line in log(site))


def test_the_audience_may_be_the_issuer(site, oidc_provider):
    signing(site, oidc_provider, "ES256", audience=oidc_provider.url)
    assert once(site)["api"]["outcome"] == "rotated"


def test_a_certificate_goes_along(site, oidc_provider):
    """A server that knows the key by another name than its thumbprint takes no offence at it."""
    signing(site, oidc_provider, "RS256", certificate=site.secret("certificate", keys.certificate_pem()))
    assert once(site)["api"]["outcome"] == "rotated"


def test_a_key_of_another_kind_is_told_of_before_anything_is_sent(site, oidc_provider):
    signing(site, oidc_provider, "RS256")
    site.jobs["api"]["client_key"]["key"] = reference = site.secret("other-key", keys.pem("P-256"))
    ended = once(site)["api"]
    assert (ended["outcome"], ended["error"]) == ("store_failed", "secret_unreadable")
    (line,) = [one for one in log(site) if one["event"] == "store_failed"]
    assert line["why"] == f"client_key.key ({reference}): the key does not fit RS256, which takes an RSA private key"
    assert oidc_provider.stats().of("api").total == 0


def presigned(site: Site, provider: Provider, name: str, **changes: Any) -> str:
    """Return the reference to a JWT that somebody else signs for the client, good for very long."""
    claims = {"iss": name, "sub": name, "aud": provider.token_url, "jti": "j-1", "exp": 1 << 32} | changes
    return site.secret(name, jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(keys.pem("P-256"))))


@pytest.mark.parametrize("name", ["oidc_provider", "authlib"])
def test_an_assertion_of_somebody_else_is_read_at_each_try(site, provider_pool, name):
    provider = provider_pool(name)
    for client in ("first", "second"):
        provider.add_client(client, auth="private_key_jwt", alg="ES256", jwk=keys.public_jwk("ES256"))
        job(site, provider, client, client_auth="private_key_jwt")
        site.jobs[client]["client_assertion"] = presigned(site, provider, client)
    presigned(site, provider, "second", exp=1)
    ended = once(site)
    assert ended["first"]["outcome"] == "rotated"
    assert (ended["second"]["outcome"], ended["second"]["error"]) == ("rejected_permanent", "invalid_client")

    presigned(site, provider, "second")
    ended = once(site, "--force")
    assert (ended["first"]["outcome"], ended["first"]["error"]) == ("rejected_permanent", "invalid_client"), "replayed"
    assert ended["second"]["outcome"] == "rotated", "another one is news"


def test_a_public_client_says_who_it_is(site, oidc_provider):
    oidc_provider.add_client("api", auth="none")
    user = {"username": oidc_provider.username, "password": site.secret("password", oidc_provider.password)}
    job(site, oidc_provider, client_auth="none", grant="password", **user)
    assert once(site)["api"]["outcome"] == "rotated"
    assert oidc_provider.stats().of("api").outcomes == {"200": 1}


@pytest.mark.parametrize(
    ("name", "right", "wrong", "odd"),
    [("oauth2", "basic", "basic_raw", "é€😀"), ("node_oauth2", "basic_raw", "basic", "")],
)
def test_a_secret_of_special_characters_goes_one_way_and_a_refusal_names_it(
    site, provider_pool, name, right, wrong, odd
):
    """A server that decodes, and one that does not; that one takes ASCII alone (RFC 6749 appendix A.2)."""
    provider = provider_pool(name)
    secret = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ " + AWKWARD + odd
    reference = site.secret("secret", secret)
    for way in (right, wrong, "post"):
        provider.add_client(way, secret=secret)
        job(site, provider, way, client_secret=reference, client_auth=way)
    ended = once(site)
    assert {way: one["outcome"] for way, one in ended.items()} == {
        right: "rotated",
        wrong: "rejected_permanent",
        "post": "rotated",
    }
    assert ended[wrong]["error"] == "invalid_client"
    (line,) = [one for one in log(site) if one["event"] == "latched"]
    assert "id or secret holds special characters, which servers read in two ways" in line["why"]
    assert f'try client_auth = "{right}" or "post"' in line["why"]


def test_the_next_client_secret_serves_while_a_secret_is_being_changed(site, provider_pool):
    providers = {name: provider_pool(name) for name in ("oauth2", "oidc_provider", "authlib", "jmondi", "node_oauth2")}
    old, new = (site.canaries.plant(f"{age} client secret", odd="+/= &%") for age in ("old", "new"))
    both = [site.secret("old", old), site.secret("new", new)]
    for name, provider in providers.items():
        provider.add_client(name, secret=old)
        job(site, provider, name, client_auth=provider.client_auth, client_secret=both)
    assert {one["outcome"] for one in once(site).values()} == {"rotated"}
    assert not any("client_secret" in line for line in log(site))

    for name, provider in providers.items():
        provider.add_client(name, secret=new)
    assert {one["outcome"] for one in once(site, "--force").values()} == {"rotated"}
    taken = {one["job"]: one["client_secret"] for one in log(site) if one["event"] == "rotated"}
    assert taken == dict.fromkeys(providers, "next")

    for name, provider in providers.items():
        provider.add_client(name, secret="neither of them")
    assert {one["error"] for one in once(site, "--force").values()} == {"invalid_client"}
    for name, provider in providers.items():
        assert provider.stats().of(name).total == 1 + 2 + 2
