"""What a refusal means of a grant or a proof that is signed or exchanged: the same code, other words."""

import pytest

from refresher.core.model import Rejected
from refresher.providers import explain

INVALID_GRANT = Rejected(kind="permanent", error="invalid_grant", status=400)


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("jwt_bearer", "check the assertion's key, key_id, issuer, subject and audience, and this machine's clock"),
        ("token_exchange", "the token to exchange is not accepted"),
        ("password", "the user's name and password, is wrong"),
        ("refresh_token", "the refresh token, or"),
        (None, "the refresh token, or"),
    ],
)
def test_a_refused_grant(grant, words):
    said = explain("oauth2", INVALID_GRANT, grant=grant)
    assert said.startswith("invalid_grant: ")
    assert words in said


@pytest.mark.parametrize("error", ["invalid_client", "http_401"])
@pytest.mark.parametrize("client_auth", ["private_key_jwt", "client_secret_jwt", "basic", "post", "tls", "none"])
def test_a_client_that_is_not_recognised(error, client_auth):
    said = explain("oauth2", Rejected(kind="permanent", error=error, status=401), client_auth=client_auth)
    signs = client_auth.endswith("_jwt")
    assert ("check client_id, the key that signs, its key_id, algorithm and audience" in said) is signs
    assert ("check client_id, client_secret and client_auth" in said) is not signs


def test_a_providers_own_words_come_first():
    said = explain("smartdocumentor", Rejected(kind="permanent", error="invalid_client"), client_auth="private_key_jwt")
    assert "Create Secrets" in said
