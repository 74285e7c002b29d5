"""The three providers, each on the real server that stands for it: first token, renewals in time, error answers."""

import json
from itertools import pairwise

import pytest

pytestmark = pytest.mark.e2e
KINDS = ["semansys", "smartdocumentor", "screening_eagle"]


@pytest.fixture(params=KINDS)
def provider(request, provider_pool):
    return provider_pool(request.param)


def test_first_token_and_three_renewals_in_time(site, provider):
    site.add("api", provider, ttl=10)
    with site.daemon() as daemon:
        lines = [daemon.wait_for("rotated", job="api") for _ in range(4)]
        held = site.token("api")
        assert provider.accepts(held["access_token"]), "the token in Vault is taken by the server"
        assert daemon.stop() == 0

    assert [line["reason"] for line in lines] == ["missing", "due", "due", "due"]
    assert [line["version"] for line in lines] == [1, 2, 3, 4]
    for before, after in pairwise(lines):
        assert after["timestamp"] < before["expires_at"].replace("Z", ".000Z"), "renewed while the old one lives"
        assert after["timestamp"] >= before["renew_at"].replace("Z", ".000Z")
    assert "refresh_token" not in held
    assert held["managed_by"] == "refresher/default"
    stats = provider.stats().of("api-client")
    assert stats.total == 4, "no request but those"
    assert stats.refresh_reused == 0


def test_a_refresh_token_is_rotated_and_lives_apart(site, semansys):
    site.add("api", semansys, ttl=10)
    with site.daemon() as daemon:
        grants = [daemon.wait_for("rotated", job="api")["grant"] for _ in range(3)]
        record = site.read("refresher/default/api")
        assert daemon.stop() == 0
    assert grants == ["password", "refresh_token", "refresh_token"]
    assert record["generation"] == "3"
    assert record["refresh_token"]
    assert semansys.stats().grants == {"password": 1, "refresh_token": 2}


def test_screening_eagles_refresh_token_is_kept_and_not_used(site, screening_eagle):
    site.add("api", screening_eagle, ttl=6, keep=["id_token"])
    with site.daemon() as daemon:
        for _ in range(2):
            daemon.wait_for("rotated", job="api")
        held, record = site.token("api"), site.read("refresher/default/api")
    assert record["refresh_token"]
    assert held["id_token"].count(".") == 2
    assert held["access_token"].count(".") == 2, "a JWT"
    assert "refresh_token" not in screening_eagle.stats().grants


ERRORS = [
    # provider, what goes wrong, the outcome, the code and the HTTP status that its document names
    ("semansys", {"client_secret": "wrong"}, "rejected_permanent", "invalid_client", 401),
    ("semansys", {"password": "wrong"}, "rejected_permanent", None, 403),
    ("semansys", {"scope": "nonsense"}, "rejected_permanent", "invalid_scope", 400),
    ("smartdocumentor", {"client_secret": "wrong"}, "rejected_permanent", "invalid_client", None),
    ("screening_eagle", {"client_secret": "wrong"}, "rejected_permanent", "Forbidden", None),
    ("screening_eagle", {"fail": 400}, "rejected_permanent", "Forbidden", 400),
    ("screening_eagle", {"fail": 401}, "rejected_permanent", "Forbidden", 401),
    ("screening_eagle", {"fail": 403}, "rejected_permanent", "Forbidden", 403),
    ("screening_eagle", {"fail": 404}, "rejected_permanent", "Forbidden", 404),
    ("screening_eagle", {"fail": 500}, "rejected_transient", "Forbidden", 500),
]


@pytest.mark.parametrize(("name", "wrong", "outcome", "code", "status"), ERRORS)
def test_an_error_of_its_document_is_told_by_outcome_code_and_status(
    site, provider_pool, name, wrong, outcome, code, status
):
    provider = provider_pool(name)
    site.add("api", provider)
    if "fail" in wrong:
        provider.control(client="api-client", fail={"status": wrong["fail"]})
    else:
        key, text = next(iter(wrong.items()))
        site.jobs["api"][key] = text if key == "scope" else site.secret("wrong", site.canaries.plant("wrong secret"))
    site.write()

    done = site.run("once", "--json")

    ended = json.loads(done.stdout)
    assert done.returncode == 1
    assert ended["outcome"] == outcome
    if code is not None:
        assert ended["error"] == code
    if status is not None:
        assert ended["http_status"] == status
    assert provider.stats().of("api-client").total == 1, "asked once"
    assert site.token("api") is None
