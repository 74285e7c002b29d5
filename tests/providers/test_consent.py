"""How a person's consent is asked for and what the answers mean: no browser, no server, no clock."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresher.core.job import Consent
from refresher.core.model import Reference, Rejected
from refresher.core.secret import Secret
from refresher.providers import consent
from refresher.providers.consent import Question
from tests.core.builders import a_job
from tests.providers.replies import SENT

BROWSER = Consent(flow="authorization_code", url="https://id.example.com/authorize")
# RFC 7636 appendix B.
VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
QUESTION = Question(redirect_uri="http://127.0.0.1:49152/callback", state="the-state", verifier=VERIFIER)
NEW = {"now": SENT, "nonce": "n"}


def members(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_challenge_is_that_of_the_rfc():
    assert consent.challenge(VERIFIER) == CHALLENGE


@settings(deadline=None)
@given(st.binary(min_size=consent.ENTROPY, max_size=96))
def test_a_verifier_has_the_length_and_the_characters_of_rfc_7636_section_4_1(entropy):
    assert re.fullmatch(r"[A-Za-z0-9_-]{43,128}", consent.random_text(entropy))


def test_too_little_chance_is_refused():
    with pytest.raises(ValueError, match="chance"):
        consent.random_text(bytes(consent.ENTROPY - 1))


def test_the_authorization_url_carries_pkce_and_never_the_verifier():
    job = a_job(scope=("orders", "offline_access"))
    url = consent.authorization_url(job, BROWSER, QUESTION)
    assert url.startswith("https://id.example.com/authorize?")
    assert members(urlsplit(url).query) == {
        "response_type": "code",
        "client_id": "acme",
        "redirect_uri": "http://127.0.0.1:49152/callback",
        "scope": "orders offline_access",
        "prompt": "consent",
        "state": "the-state",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    assert VERIFIER.reveal() not in url


def test_the_job_s_own_words_for_the_browser_win_but_not_over_what_guards_the_answer():
    params = (("prompt", "login"), ("access_type", "offline"), ("aud", "a"), ("aud", "b"), ("state", "mine"))
    job = a_job(scope=("offline_access",))
    url = consent.authorization_url(job, replace(BROWSER, url=BROWSER.url + "?tenant=1", params=params), QUESTION)
    pairs = parse_qsl(urlsplit(url).query)
    assert pairs[0] == ("tenant", "1")
    assert [value for name, value in pairs if name == "aud"] == ["a", "b"]
    assert [(name, value) for name, value in pairs if name in ("prompt", "state")] == [
        ("state", "the-state"),
        ("prompt", "login"),
    ]


def test_without_a_scope_none_is_asked_for():
    assert "scope=" not in consent.authorization_url(a_job(), BROWSER, QUESTION)


def test_a_code_comes_back():
    assert consent.callback("/callback?code=abc%20%7E&state=the-state", state="the-state") == Secret("abc ~")


@pytest.mark.parametrize(
    "target",
    [
        "/callback",
        "/callback?code=abc",
        "/callback?code=abc&state=",
        "/callback?code=abc&state=the-stat",
        "/callback?code=abc&state=the-state2",
        "/callback?code=abc&state=the-state&code=abc",
        "/callback?code=abc&state=the-state&state=the-state",
        "/callback?code=%ff&state=the-state",
        "/callback?error=access_denied",
        "/?code=abc&state=the-state",
        "/favicon.ico?code=abc&state=the-state",
        "/callback?state=the-state&" + "&".join(f"a{number}=1" for number in range(60)),
    ],
)
def test_what_does_not_answer_our_question_is_nothing(target):
    assert consent.callback(target, state="the-state") is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": "access_denied", "error_description": "<script>"}, "access_denied"),
        ({"error": "<b>no</b>"}, "other"),
        ({"error": ""}, "other"),
        ({"error": "access_denied", "code": "abc"}, "access_denied"),
        ({}, "code"),
        ({"code": ""}, "code"),
        ({"code": "a\nb"}, "code"),
        ({"code": "a" * 4097}, "code"),
        ({"code": "abc", "iss": "https://evil.example.com"}, "iss"),
        ({"error": "access_denied", "iss": "https://id.example.com/"}, "iss"),
    ],
)
def test_a_refusal_comes_back_with_a_code_that_can_be_shown(answer, error):
    target = "/callback?" + urlencode({"state": "the-state", **answer})
    got = consent.callback(target, state="the-state", issuer="https://id.example.com")
    assert got == Rejected(kind="permanent", error=error)


@pytest.mark.parametrize("issuer", ["", "https://id.example.com"])
def test_the_issuer_is_compared_where_it_is_known(issuer):
    target = "/callback?" + urlencode({"state": "the-state", "code": "abc", "iss": "https://id.example.com"})
    assert consent.callback(target, state="the-state", issuer=issuer) == Secret("abc")


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=20))
def test_no_request_makes_the_callback_raise(target, state):
    consent.callback("/callback?" + target, state=state)
    consent.callback(target, state=state)


def test_a_code_is_redeemed_with_its_verifier_and_its_address():
    own = (("audience", "https://api"), ("grant_type", "account_credentials"), ("redirect_uri", "https://elsewhere"))
    job = a_job(client_secret=Reference(kind="env", target="X"), params=own)
    grant = consent.code_grant(Secret("the-code"), QUESTION)
    request = consent.token_request(job, grant, {"client_secret": Secret("s")}, **NEW)
    assert (request.method, request.url) == ("POST", job.token_url)
    assert members(request.body.decode()) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": "http://127.0.0.1:49152/callback",
        "code_verifier": VERIFIER.reveal(),
        "audience": "https://api",
    }
    assert dict(request.headers)["Authorization"] == "Basic YWNtZTpz"
    for secret in ("the-code", VERIFIER.reveal()):
        assert secret not in repr(request)
        assert secret not in repr(grant)


def test_a_public_client_names_itself():
    grant = consent.code_grant(Secret("the-code"), QUESTION)
    request = consent.token_request(a_job(client_auth="none"), grant, {}, **NEW)
    assert members(request.body.decode())["client_id"] == "acme"
    assert "Authorization" not in dict(request.headers)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("access_denied", "access_denied: consent was denied at the provider"),
        ("invalid_grant", "invalid_grant: the code was used before"),
        ("invalid_client", "invalid_client: the client was not recognised"),
    ],
)
def test_why_there_is_no_consent(error, words):
    assert consent.explain_consent(a_job(), Rejected(kind="permanent", error=error)).startswith(words)
