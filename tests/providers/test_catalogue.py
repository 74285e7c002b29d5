"""The first three providers follow their vendors' pages, and every refusal has a meaning."""

from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from refresher.core.model import Rejected
from refresher.core.secret import Secret
from refresher.providers import Provider, catalogue, explain, interpret
from tests.core.builders import a_job
from tests.providers.replies import SENT, reply
from tests.providers.requests import request_of

FORBIDDEN = {"error": "Forbidden", "errorDescription": "permission denied"}


def job_of(row: Provider, token_url: str, **changes):
    fields = {"provider": row.name, "token_url": token_url, "grant": row.grant, "client_auth": row.client_auth}
    return a_job(**fields | {"scope": row.scope, "lifetime": row.lifetime, "refreshes": row.refreshes} | changes)


def test_semansys_follows_its_page():
    row = catalogue()["semansys"]
    assert row.environments == {"pre": "https://oidc-pre.semansys.com"}
    assert (row.environment, row.refreshes, row.lifetime) == (None, True, timedelta(hours=1))
    job = job_of(row, row.environments["pre"] + row.token_path, username="api@acme.example")
    request = request_of(job, "password", client_secret="s", password="p")
    assert request.url == "https://oidc-pre.semansys.com/connect/token"
    assert request.body == b"grant_type=password&username=api%40acme.example&password=p&client_id=acme&client_secret=s"
    body = {
        "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.sig",
        "token_type": "bearer",
        "expires_in": 3600,
        "refresh_token": "8xLOxBtZp8",
        "scope": "read write",
    }
    token = interpret(reply(body), job, sent_at=SENT).token
    assert (token.refresh_token, token.scope, token.flags) == (Secret("8xLOxBtZp8"), ("read", "write"), ())


@pytest.mark.parametrize(("status", "word"), [(400, "params"), (401, "client secret"), (403, "password")])
def test_semansys_errors(status, word):
    job = job_of(catalogue()["semansys"], "https://oidc-pre.semansys.com/connect/token")
    for body in (b"", {"error": "invalid_request"}, b"Bad Request"):
        refused = interpret(reply(body, status), job, sent_at=SENT)
        assert refused.kind == "permanent"
        assert word in explain("semansys", refused)


def test_smartdocumentor_follows_its_page():
    row = catalogue()["smartdocumentor"]
    assert (row.environment, row.revokes_previous, row.lifetime) == ("cloud", False, timedelta(hours=1))
    job = job_of(row, row.environments["cloud"] + row.token_path)
    request = request_of(job, "client_credentials", client_secret="s")
    assert request.url == "https://cloud.smartdocumentor.net/connect/token"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["WebAPI"],
        "client_id": ["acme"],
        "client_secret": ["s"],
    }
    refused = interpret(reply({"error": "invalid_client"}, 400), job, sent_at=SENT)
    assert (refused.kind, refused.error) == ("permanent", "invalid_client")
    assert "Create Secrets" in explain("smartdocumentor", refused, client_auth="post", special=True)


def test_screening_eagle_follows_its_page():
    row = catalogue()["screening-eagle"]
    assert (row.base_url_required, row.environments, row.refreshes) == (True, {}, False)
    assert row.lifetime == timedelta(seconds=604_800)
    job = job_of(row, "https://eagle.example" + row.token_path, keep=("id_token",))
    request = request_of(job, "client_credentials", client_secret="s:é")
    assert request.url == "https://eagle.example/api/id/v1/auth/token"
    assert request.body == b"grant_type=client_credentials&scope=openid%20email%20profile%20inspect"
    assert dict(request.headers)["Authorization"] == "Basic YWNtZTpzOsOp"
    body = {"scope": "openid email profile inspect", "token_type": "Bearer", "access_token": "eyJ.e30.s"}
    body |= {"expires_in": 604_800, "id_token": "eyJ.e30.i", "refresh_token": "eyJ.e30.r"}
    token = interpret(reply(body), job, sent_at=SENT).token
    assert (token.refresh_token, token.expires_in) == (Secret("eyJ.e30.r"), 604_800)
    assert token.extras["id_token"].reveal() == "eyJ.e30.i"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_screening_eagle_errors(status):
    row = catalogue()["screening-eagle"]
    refused = interpret(reply(FORBIDDEN, status), job_of(row, "https://eagle.example/t"), sent_at=SENT)
    assert (refused.kind, refused.error) == ("transient" if status == 500 else "permanent", "Forbidden")
    assert explain("screening-eagle", refused) == f"Forbidden: {row.errors[str(status)]}"


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        ("invalid_grant", 400, "revoked"),
        ("http_429", 429, "tried again later"),
        ("custom_code", 404, "no token endpoint"),
        ("http_302", 302, "never followed"),
        ("custom_code", 418, "token_url, grant"),
        ("http_503", 503, "at the server"),
        ("transport", 0, "network"),
        ("custom_code", 0, "does not name"),
    ],
)
def test_the_standard_explains_what_the_provider_does_not(error, status, word):
    refused = Rejected(kind="permanent", error=error, status=status)
    assert explain("oauth2", refused) == explain("no-such-provider", refused)
    assert word in explain("oauth2", refused)


@pytest.mark.parametrize(
    "error",
    [
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
        *("invalid_scope", "insufficient_scope", "unsupported_token_type", "no_refresh_token", "other"),
        *("status", "body", "encoding", "too_large", "duplicate", "access_token", "token_type", "expires_in"),
        *("refresh_token", "transport", "deadline", "http_401", "http_403", "http_404", "http_405", "http_407"),
        *("http_429", "http_501"),
    ],
)
def test_every_code_of_the_standard_and_of_our_own_has_a_meaning(error):
    unknown = explain("oauth2", Rejected(kind="permanent", error="x"))
    line = explain("oauth2", Rejected(kind="permanent", error=error))
    assert line.startswith(f"{error}: ")
    assert line.partition(": ")[2] != unknown.partition(": ")[2]


def test_a_refused_client_is_told_the_other_way():
    refused = Rejected(kind="permanent", error="invalid_client", status=401)
    assert 'special characters, which servers read in two ways: try client_auth = "basic_raw" or "post"' in explain(
        "oauth2", refused, client_auth="basic", special=True
    )
    assert 'if both are right, try client_auth = "basic" or "post"' in explain(
        "oauth2", refused, client_auth="basic_raw"
    )
    by_code = Rejected(kind="permanent", error="invalid_client", status=400)
    by_status = Rejected(kind="permanent", error="Forbidden", status=401)
    other = Rejected(kind="permanent", error="invalid_grant", status=400)
    for refused, told in ((by_code, True), (by_status, True), (other, False)):
        assert ("try client_auth" in explain("oauth2", refused, client_auth="basic")) is told
        assert "try client_auth" not in explain("oauth2", refused, client_auth="post")
        assert explain("oauth2", refused).isprintable()
