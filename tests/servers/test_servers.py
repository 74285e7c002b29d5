"""The servers of this folder behave as the tests that lean on them believe."""

import time
from urllib.parse import quote

import httpx
import pytest

from tests.servers.asking import ask, refresh
from tests.servers.provider import KINDS, Provider

pytestmark = pytest.mark.e2e

REFRESHING = ("semansys", "oidc_provider", "oauth2", "node_oauth2")
REFUSED = {"error": "Forbidden", "errorDescription": "permission denied"}


# One wants a person, one certificates: e2e/test_authorize.py, e2e/test_channels.py.
@pytest.fixture(params=sorted(KINDS.keys() - {"oidc_consent", "oidc_tls"}))
def provider(request, provider_pool) -> Provider:
    return provider_pool(request.param)


@pytest.fixture(params=REFRESHING)
def refreshing(request, provider_pool) -> Provider:
    return provider_pool(request.param)


def test_a_token_is_issued_and_accepted(provider):
    reply = ask(provider)
    assert reply.status_code == 200, reply.text
    token = reply.json()["access_token"]
    assert provider.accepts(token)
    assert not provider.accepts(token[:-6] + "AAAAAA")
    assert provider.stats().of(provider.client_id).outcomes == {"200": 1}


def test_a_token_dies_when_its_lifetime_is_over(provider):
    provider.add_client("brief", secret="brief", ttl=3)
    asked = time.monotonic()
    token = ask(provider, client="brief", secret="brief").json()["access_token"]
    assert provider.accepts(token) or time.monotonic() - asked > 1.5, "some count in whole seconds"
    until = time.monotonic() + 7
    while provider.accepts(token):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_lifetime_holds_for_all_or_for_one_client(provider):
    provider.control(ttl=50)
    provider.add_client("other", secret="other", ttl=20)
    assert ask(provider).json()["expires_in"] in {49, 50}
    assert ask(provider, client="other", secret="other").json()["expires_in"] in {19, 20}


def test_a_reset_forgets_tokens_clients_and_counts(provider):
    token = ask(provider).json()["access_token"]
    provider.add_client("other", secret="other")
    provider.reset()
    assert provider.stats().total == 0
    assert ask(provider, client="other", secret="other").status_code >= 400
    if provider.name != "screening_eagle":  # nobody can take a signed token back
        assert not provider.accepts(token)


@pytest.mark.parametrize(
    ("name", "auth", "taken"),
    [
        ("semansys", "post", True),
        ("smartdocumentor", "post", True),
        ("screening_eagle", "basic_raw", True),
        ("screening_eagle", "basic", False),
        ("oidc_provider", "basic", True),
        ("oidc_provider", "basic_raw", False),
        ("oidc_provider", "post", True),
        ("oauth2", "basic", True),
        ("oauth2", "basic_raw", False),
        ("oauth2", "post", True),
        ("authlib", "basic", True),
        ("authlib", "basic_raw", True),
        ("authlib", "post", True),
        ("jmondi", "basic", False),
        ("jmondi", "basic_raw", False),
        ("jmondi", "post", True),
        ("node_oauth2", "basic", False),
        ("node_oauth2", "basic_raw", True),
        ("node_oauth2", "post", True),
    ],
)
def test_each_server_reads_an_awkward_secret_in_its_own_way(provider_pool, name, auth, taken):
    provider = provider_pool(name)
    provider.add_client("by another way", secret=provider.client_secret, auth=auth)
    reply = ask(provider, client="by another way", auth=auth)
    assert (reply.status_code == 200) is taken, reply.text


@pytest.mark.parametrize("grant", ["client_credentials", "password"])
@pytest.mark.parametrize("name", ["oidc_provider", "oauth2", "node_oauth2"])
def test_the_general_servers_take_every_grant(provider_pool, name, grant):
    provider = provider_pool(name)
    form = {"username": provider.username, "password": provider.password} if grant == "password" else {}
    reply = ask(provider, grant_type=grant, scope="read", **form)
    assert reply.status_code == 200, reply.text
    assert reply.json()["scope"] == "read"
    assert provider.accepts(reply.json()["access_token"])


def test_a_refresh_rotates_and_a_spent_token_ends_its_family(refreshing):
    first = ask(refreshing).json()
    second = refresh(refreshing, first["refresh_token"]).json()
    third = refresh(refreshing, second["refresh_token"]).json()
    assert len({one["refresh_token"] for one in (first, second, third)}) == 3
    assert refreshing.accepts(third["access_token"])
    assert refreshing.stats().refresh_reused == 0

    assert refresh(refreshing, first["refresh_token"]).status_code in {400, 401}
    assert refreshing.stats().refresh_reused == 1
    assert refresh(refreshing, third["refresh_token"]).status_code in {400, 401}
    assert refreshing.stats().grants == {"password": 1, "refresh_token": 4}


def test_oidc_provider_introspects(oidc_provider):
    token = ask(oidc_provider).json()["access_token"]
    where, own = (
        oidc_provider.url + "/token/introspection",
        (quote(oidc_provider.client_id), quote(oidc_provider.client_secret)),
    )
    assert httpx.post(where, data={"token": token}, auth=own, trust_env=False).json()["active"] is True
    assert httpx.post(where, data={"token": token + "x"}, auth=own, trust_env=False).json()["active"] is False


def test_a_changed_secret_leaves_what_was_issued(provider):
    token = ask(provider).json()["access_token"]
    provider.add_client(provider.client_id, secret="another")
    assert ask(provider).status_code in {400, 401}
    assert ask(provider, secret="another").status_code == 200
    assert provider.accepts(token)


class TestSemansys:
    def test_the_answer_has_the_documented_members(self, semansys):
        reply = ask(semansys).json()
        assert set(reply) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert reply["token_type"] == "bearer"
        assert reply["expires_in"] in {3599, 3600}
        assert reply["scope"] == "read write"

    @pytest.mark.parametrize(
        ("wrong", "status"),
        [
            ({"password": ""}, 400),
            ({"grant_type": "client_credentials"}, 400),
            ({"secret": "wrong"}, 401),
            ({"client": "nobody"}, 401),
            ({"password": "wrong"}, 403),
            ({"username": "nobody"}, 403),
        ],
    )
    def test_the_errors_are_those_of_the_table(self, semansys, wrong, status):
        assert ask(semansys, **wrong).status_code == status


class TestSmartDocumentor:
    def test_the_answer_has_the_documented_members(self, smartdocumentor):
        reply = ask(smartdocumentor).json()
        assert len(reply.pop("access_token")) > 20
        assert reply == {"expires_in": 3600, "token_type": "Bearer", "scope": "WebAPI"}

    @pytest.mark.parametrize("wrong", [{"secret": "wrong"}, {"client": "nobody"}])
    def test_a_wrong_client_is_answered_as_documented(self, smartdocumentor, wrong):
        assert ask(smartdocumentor, **wrong).json() == {"error": "invalid_client"}

    def test_another_scope_is_refused(self, smartdocumentor):
        assert ask(smartdocumentor, scope="Other").json() == {"error": "invalid_scope"}


class TestScreeningEagle:
    def test_the_answer_has_the_documented_members(self, screening_eagle):
        reply = ask(screening_eagle).json()
        assert set(reply) == {"scope", "token_type", "access_token", "expires_in", "id_token", "refresh_token"}
        assert (reply["token_type"], reply["scope"]) == ("Bearer", screening_eagle.scope)
        assert reply["access_token"].count(".") == reply["id_token"].count(".") == 2

    @pytest.mark.parametrize(
        ("wrong", "status"),
        [
            ({"grant_type": "password"}, 400),
            ({"grant_type": "refresh_token", "refresh_token": "any"}, 400),
            ({"secret": "wrong"}, 401),
            ({"client": "nobody"}, 401),
            ({"scope": "openid admin"}, 403),
        ],
    )
    def test_the_errors_have_the_documented_body(self, screening_eagle, wrong, status):
        reply = ask(screening_eagle, **wrong)
        assert (reply.status_code, reply.json()) == (status, REFUSED)

    def test_so_have_a_wrong_path_and_a_fault_inside(self, screening_eagle):
        elsewhere = httpx.get(screening_eagle.url + "/api/id/v1/nowhere", trust_env=False)
        assert (elsewhere.status_code, elsewhere.json()) == (404, REFUSED)
        screening_eagle.control(fail={"status": 500, "times": 1})
        reply = ask(screening_eagle)
        assert (reply.status_code, reply.json()) == (500, REFUSED)

    def test_a_wide_lifetime_is_seven_days(self, screening_eagle):
        screening_eagle.control(ttl=604800)
        assert ask(screening_eagle).json()["expires_in"] == 604800
