"""Applications that sign for themselves, as rows of the catalogue: against servers that check what the pages say.

The vendors themselves are out of a test's reach; what is checked here is checked as their documents tell.
"""

import json
import time
from secrets import token_hex
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.errors import JoseError

from tests import keys
from tests.e2e.asking import log, once
from tests.servers.plain import Asked, Reply, serving

pytestmark = pytest.mark.e2e
GITHUBS, GOOGLES = f"ghs_{token_hex(20)}", f"ya29.{token_hex(20)}"
GITHUB = "app/installations/42/access_tokens"


def github(asked: Asked) -> Reply:
    """RS256, issued in the past, good for ten minutes at most, by the app; 201 with token and expires_at."""
    refused = Reply(status=401, body=json.dumps({"message": "A JSON web token could not be decoded"}))
    try:
        token = asked.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, keys.verifier("RS256"), algorithms=["RS256"]).claims
    except (KeyError, JoseError):
        return refused
    good = claims["iat"] <= time.time() < claims["exp"] <= time.time() + 600 and claims["iss"] == "Iv1.0a1b"
    if asked.method != "POST" or asked.headers["accept"] != "application/vnd.github+json" or not good:
        return refused
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return Reply(status=201, body=json.dumps({"token": GITHUBS, "expires_at": ends}))


def google(asked: Asked) -> Reply:
    """RS256 by the key that `kid` names, good for an hour at most, the scope a claim."""
    form = parse_qs(asked.body.decode())
    try:
        token = jwt.decode(form["assertion"][0], keys.verifier("RS256"), algorithms=["RS256"])
    except (KeyError, JoseError):
        return Reply(status=400, body=json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT"}))
    claims = token.claims
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert (token.header["kid"], claims["iss"], claims["scope"]) == (
        "0a1b2c",
        "robot@project.example",
        "https://a/read",
    )
    assert claims["aud"].endswith("/google")
    assert claims["iat"] <= time.time() < claims["exp"] <= claims["iat"] + 3600
    return Reply(body=json.dumps({"access_token": GOOGLES, "expires_in": 3599, "token_type": "Bearer"}))


@pytest.mark.parametrize(("kind", "outcome"), [("RSA", "rotated"), ("other RSA", "rejected_permanent")])
def test_signed_applications(site, kind, outcome):
    key = keys.pem(kind, traditional=True)
    file = json.dumps({"client_email": "robot@project.example", "private_key": key, "private_key_id": "0a1b2c"})
    with serving({GITHUB: github, "google": google}) as server:
        site.jobs["hub"] = {
            "provider": "github-app",
            "token_url": server.url(GITHUB),
            "client_id": "Iv1.0a1b",
            "assertion": {"key": site.secret("app", key)},
            "path": "tokens/hub",
        }
        site.jobs["account"] = {
            "provider": "google-service-account",
            "token_url": server.url("google"),
            "assertion": {"key": site.secret("account", file)},
            "scope": ["https://a/read"],
            "path": "tokens/account",
        }
        ended = once(site)
    assert {name: one["outcome"] for name, one in ended.items()} == {"hub": outcome, "account": outcome}
    if outcome == "rotated":
        assert site.token("hub")["access_token"] == GITHUBS
        assert site.token("account")["access_token"] == GOOGLES
    else:
        assert all("this machine's clock" in line["why"] for line in log(site))
