"""How a person's consent is asked for and what the answers mean: no browser, no server, no clock."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.job import Consent, Shape
from refresher.core.model import Reference, Rejected
from refresher.core.secret import Secret
from refresher.providers import consent
from refresher.providers.consent import DeviceCode, Question
from tests.core.builders import a_job
from tests.providers.replies import SENT, reply

BROWSER = Consent(flow="authorization_code", url="https://id.example.com/authorize")
DEVICE = Consent(flow="device_code", url="https://id.example.com/device")
# RFC 7636 appendix B.
VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
QUESTION = Question(redirect_uri="http://127.0.0.1:49152/callback", state="the-state", verifier=VERIFIER)
DEVICE_REPLY = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://id.example.com/device",
    "verification_uri_complete": "https://id.example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}
NEW = {"now": SENT, "nonce": "n"}


def members(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_challenge_is_that_of_the_rfc():
    assert consent.challenge(VERIFIER) == CHALLENGE


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


@given(st.text(max_size=300), st.text(max_size=20))
def test_no_request_makes_the_callback_raise(target, state):
    consent.callback("/callback?" + target, state=state)
    consent.callback(target, state=state)


def test_a_code_is_redeemed_with_its_verifier_and_its_address():
    job = a_job(client_secret=Reference(kind="env", target="X"), params=(("audience", "https://api"),))
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


def test_a_device_code_is_asked_for_at_the_job_s_other_endpoint_and_polled_for_at_the_token_endpoint():
    job = a_job(client_auth="none", scope=("orders",), params=(("for", "tokens"),), shape=Shape(consent=DEVICE))
    asked = consent.device_request(job, replace(DEVICE, params=(("audience", "x"),)), {}, **NEW)
    assert (asked.method, asked.url) == ("POST", DEVICE.url)
    assert members(asked.body.decode()) == {"client_id": "acme", "scope": "orders", "audience": "x"}
    device = consent.device_answer(reply(DEVICE_REPLY), sent_at=SENT, secrets=())
    polled = consent.token_request(job, consent.device_grant(device), {}, **NEW)
    assert polled.url == job.token_url
    assert members(polled.body.decode()) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": DEVICE_REPLY["device_code"],
        "client_id": "acme",
        "for": "tokens",
    }


def test_the_device_endpoint_s_answer():
    device = consent.device_answer(reply(DEVICE_REPLY), sent_at=SENT, secrets=())
    assert device == DeviceCode(
        device_code=Secret(DEVICE_REPLY["device_code"]),
        user_code="WDJB-MJHT",
        verification_uri="https://id.example.com/device",
        complete="https://id.example.com/device?user_code=WDJB-MJHT",
        lifetime=timedelta(seconds=1800),
        interval=timedelta(seconds=5),
    )
    assert DEVICE_REPLY["device_code"] not in repr(device)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(None, 5), (0, 1), (0.5, 1), ("7", 7), (7.9, 7), ("soon", 5), (-1, 5), (True, 5), (float("inf"), 5), ([], 5)],
)
def test_the_pause_between_polls(said, seconds):
    answer = (
        reply(DEVICE_REPLY | {"interval": said})
        if said != float("inf")
        else reply(
            b'{"device_code":"d","user_code":"u","verification_uri":"https://x","expires_in":9,"interval":1e999}'
        )
    )
    assert consent.device_answer(answer, sent_at=SENT, secrets=()).interval == timedelta(seconds=seconds)


def test_google_s_name_for_the_address_and_no_complete_one():
    answer = {name: value for name, value in DEVICE_REPLY.items() if not name.startswith("verification_uri")}
    answer |= {"verification_url": "https://www.google.com/device", "verification_uri_complete": "javascript:alert(1)"}
    device = consent.device_answer(reply(answer), sent_at=SENT, secrets=())
    assert (device.verification_uri, device.complete) == ("https://www.google.com/device", "")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"device_code": None}, "device_code"),
        ({"device_code": "a\x1b"}, "device_code"),
        ({"user_code": "\x1b[2J"}, "user_code"),
        ({"user_code": "A" * 65}, "user_code"),
        ({"user_code": " AB"}, "user_code"),
        ({"verification_uri": "ftp://id.example.com"}, "verification_uri"),
        ({"verification_uri": "https://id.example.com/\x1b]0;x\x07"}, "verification_uri"),
        ({"expires_in": None}, "expires_in"),
        ({"expires_in": "never"}, "expires_in"),
    ],
)
def test_a_device_answer_that_is_no_use_or_no_fit_for_a_terminal(changed, error):
    got = consent.device_answer(reply(DEVICE_REPLY | changed), sent_at=SENT, secrets=())
    assert got == Rejected(kind="malformed", error=error, status=200)


@pytest.mark.parametrize(
    ("response", "kind", "error"),
    [
        (reply(b"<html>", 200), "malformed", "body"),
        (reply(b"<html>", 404), "permanent", "http_404"),
        (reply(b"", 503), "transient", "http_503"),
        (reply({"error": "invalid_client"}, 401), "permanent", "invalid_client"),
        (reply({"error": "unauthorized_client"}, 200), "permanent", "unauthorized_client"),
        (reply({"error": "the-secret-itself"}, 400), "permanent", "other"),
        (reply(DEVICE_REPLY, 302), "permanent", "http_302"),
    ],
)
def test_a_device_endpoint_that_refuses(response, kind, error):
    got = consent.device_answer(response, sent_at=SENT, secrets=(Secret("the-secret-itself"),))
    assert (got.kind, got.error) == (kind, error)


@pytest.mark.parametrize(
    ("rejected", "seconds"),
    [
        (Rejected(kind="transient", error="authorization_pending"), 5),
        (Rejected(kind="transient", error="slow_down"), 10),
        (Rejected(kind="transient", error="deadline"), 10),
        (Rejected(kind="transient", error="http_503", retry_after=30), 30),
        (Rejected(kind="permanent", error="access_denied"), None),
        (Rejected(kind="permanent", error="expired_token"), None),
        (Rejected(kind="malformed", error="body"), None),
    ],
)
def test_the_next_poll(rejected, seconds):
    wait = None if seconds is None else timedelta(seconds=seconds)
    assert consent.next_interval(timedelta(seconds=5), rejected) == wait


def test_a_server_that_fails_is_not_asked_ever_less_often():
    interval = timedelta(seconds=5)
    for _ in range(10):
        interval = consent.next_interval(interval, Rejected(kind="transient", error="transport"))
    assert interval == consent.LONGEST_INTERVAL
    assert consent.next_interval(timedelta(minutes=2), Rejected(kind="transient", error="transport")) == timedelta(
        minutes=2
    )


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
