"""Applications that sign for themselves, as their vendors' pages tell."""

import json

import pytest
from joserfc import jwt

from refresher.core.errors import UnreadableReferenceError
from refresher.core.job import ResponseMap, Shape, Signing
from refresher.core.model import Granted, HttpRequest, Reference
from refresher.core.secret import Secret
from refresher.providers import interpret
from tests import keys
from tests.core.builders import NOW, a_job
from tests.providers.replies import SENT, reply
from tests.providers.requests import form, request_of

KEY = Reference(kind="file", target="/etc/refresher/app.pem")
IAT = int(NOW.timestamp())
GITHUB = "https://api.github.com/app/installations/42/access_tokens"
GOOGLE = "https://oauth2.googleapis.com/token"


def github(**changes):
    shape = Shape(dialect="github_app", assertion=Signing(key=KEY))
    where = ResponseMap(access_token="token", expires_in="expires_at")
    words = {"client_auth": "none", "client_id": "Iv1.0a1b", "response": where}
    return a_job(grant="jwt_bearer", token_url=GITHUB, shape=shape, **words | changes)


def google(*, subject: str = "", **changes):
    shape = Shape(dialect="google_service_account", assertion=Signing(key=KEY, subject=subject))
    words = {"client_auth": "none", "client_id": "", "scope": ("https://a/read", "https://a/write")}
    return a_job(grant="jwt_bearer", token_url=GOOGLE, shape=shape, **words | changes)


def key_file(**changes) -> str:
    members = {
        "type": "service_account",
        "client_email": "robot@project.iam.gserviceaccount.com",
        "private_key_id": "0a1b2c",
        "private_key": keys.pem("RSA"),
        "token_uri": GOOGLE,
    }
    return json.dumps({name: value for name, value in {**members, **changes}.items() if value is not None})


def signed_in(request: HttpRequest) -> str:
    return dict(request.headers)["Authorization"].removeprefix("Bearer ")


def test_a_github_app_asks_as_its_page_tells():
    request = request_of(github(), assertion__key=keys.pem("RSA", traditional=True))
    assert (request.method, request.url, request.body) == ("POST", GITHUB, b"")
    headers = dict(request.headers)
    assert (headers["Accept"], headers["X-GitHub-Api-Version"]) == ("application/vnd.github+json", "2022-11-28")
    app = jwt.decode(signed_in(request), keys.verifier("RS256"), algorithms=["RS256"])
    assert app.header == {"typ": "JWT", "alg": "RS256"}
    assert app.claims == {"iss": "Iv1.0a1b", "iat": IAT - 60, "exp": IAT + 540}


def test_a_github_apps_answer_is_a_token():
    """Status 201, the token at `token`, its end at `expires_at`."""
    answer = {"token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "expires_at": "2026-11-21T11:00:00Z"}
    answer |= {"permissions": {"contents": "read"}, "repository_selection": "selected"}
    verdict = interpret(reply(answer, 201), github(), sent_at=NOW)
    assert isinstance(verdict, Granted)
    assert verdict.token.access_token == Secret(answer["token"])
    assert verdict.token.expires_in == 3600


def test_a_github_app_that_is_refused():
    refused = interpret(reply({"message": "A JSON web token could not be decoded"}, 401), github(), sent_at=SENT)
    assert (refused.kind, refused.error) == ("permanent", "http_401")


def test_a_github_app_may_narrow_what_it_asks_for():
    request = request_of(github(params=(("repository_ids", "7"),)), assertion__key=keys.pem("RSA"))
    assert form(request) == {"repository_ids": "7"}


def test_a_google_service_account_asks_as_its_page_tells():
    asked = form(request_of(google(), assertion__key=key_file()))
    assert asked.keys() == {"grant_type", "assertion"}
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    account = jwt.decode(asked["assertion"], keys.verifier("RS256"), algorithms=["RS256"])
    assert account.header == {"typ": "JWT", "alg": "RS256", "kid": "0a1b2c"}
    assert account.claims == {
        "iss": "robot@project.iam.gserviceaccount.com",
        "scope": "https://a/read https://a/write",
        "aud": GOOGLE,
        "iat": IAT,
        "exp": IAT + 60,
    }


def test_a_google_service_account_may_act_for_a_user():
    asked = form(request_of(google(subject="user@acme.example", scope=()), assertion__key=key_file()))
    claims = jwt.decode(asked["assertion"], keys.verifier("RS256")).claims
    assert claims["sub"] == "user@acme.example"
    assert "scope" not in claims


NOT_A_KEY_FILE = "this is not a service account's key file: JSON with client_email and private_key"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is missing or empty"),
        (keys.pem("RSA"), NOT_A_KEY_FILE),
        ("[1]", NOT_A_KEY_FILE),
        ("7", NOT_A_KEY_FILE),
        ("[" * 100_000, NOT_A_KEY_FILE),
        (key_file(client_email=None), NOT_A_KEY_FILE),
        (key_file(private_key=7), NOT_A_KEY_FILE),
        (key_file(private_key="hello"), "this is not an RSA private key in PEM"),
    ],
    ids=["missing", "PEM", "list", "number", "deep", "no name", "no text", "no key"],
)
def test_a_key_file_that_is_no_use_is_told_of_in_one_line(text, why):
    with pytest.raises(UnreadableReferenceError) as told:
        request_of(google(), assertion__key=text)
    assert str(told.value) == f"assertion.key (file:/etc/refresher/app.pem): {why}"
    assert told.value.__context__ is None
