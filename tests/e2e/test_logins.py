"""What refresher logs in with: told before it runs out, and when a stranger was faster."""

import json
from http.client import HTTPConnection

import pytest

from tests.e2e.site import Site

pytestmark = pytest.mark.e2e


def made(site: Site, **limits: object) -> str:
    return site.bao.api("PUT", f"auth/approle/role/{site.role}/secret-id", limits)["data"]["secret_id"]


def wrapped(site: Site) -> str:
    connection = HTTPConnection(site.bao.address.removeprefix("http://"), timeout=30)
    headers = {"X-Vault-Token": site.bao.root_token.reveal(), "X-Vault-Wrap-TTL": "300s"}
    try:
        connection.request("PUT", f"/v1/auth/approle/role/{site.role}/secret-id", "{}", headers)
        return json.loads(connection.getresponse().read())["wrap_info"]["token"]
    finally:
        connection.close()


@pytest.fixture
def one(site, semansys) -> Site:
    site.add("crm", semansys, ttl=3600)
    site.write()
    return site


def test_a_secret_id_of_few_uses_is_warned_of(one):
    one.secret("vault", made(one, num_uses=5, ttl="10m"))
    checked = one.run("check", "--live")
    assert checked.returncode == 0, checked.stderr
    assert "[vault] auth: the secret_id is good for 4 logins more, and each start needs one" in checked.stdout
    with one.daemon() as daemon:
        line = daemon.wait_for("secret_expiring", secret="secret_id", cluster="default", level="warning")
        assert line["expires_at"].endswith("Z")
        daemon.wait_for("rotated")
        for seen in (one.run("status"), one.run("status", "--json")):
            assert seen.returncode == 0, seen.stderr
            assert "from the running daemon" in seen.stdout + seen.stderr
            assert "Vault (default): the secret_id is good for" in seen.stdout + seen.stderr
        assert daemon.stop() == 0
    alone = one.run("status")
    assert "no daemon was asked" in alone.stdout
    assert "Vault (default): the secret_id is good for" in alone.stdout
    one.check_outputs()


def test_a_policy_that_does_not_let_it_look_is_told_of(one):
    one.allow(one.config, but="secret-id/lookup")
    checked = one.run("check", "--live")
    assert checked.returncode == 0, checked.stderr
    assert "whether the login runs out can't be seen" in checked.stdout


def test_a_wrapped_secret_id_serves_over_restarts_and_a_stolen_one_stops_the_daemon(one):
    auth = one.tables["vault"]["auth"]
    auth["wrapped_secret_id"] = auth.pop("secret_id")
    one.secret("vault", wrapped(one))
    for _ in range(2):
        with one.daemon() as daemon:
            daemon.wait_for("started", jobs=1)
            assert daemon.stop() == 0
            assert not daemon.lines("secret_exposed", level="error")
    stolen = wrapped(one)
    one.secret("vault", stolen)
    one.bao.api("POST", "sys/wrapping/unwrap", {"token": stolen})
    with one.daemon() as daemon:
        told = daemon.wait_for("secret_exposed", level="error")
        assert "somebody else has the secret ID" in told["why"]
        assert daemon.process.wait(timeout=20) == 69
    one.check_outputs()
