"""Consent by a code on another device: what is asked, what is read of the answer, and when to ask again."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresher.core.job import Consent, Shape
from refresher.core.model import Reference, Rejected
from refresher.core.secret import Secret
from refresher.providers import consent, device
from refresher.providers.device import DeviceCode
from tests.core.builders import a_job
from tests.providers.replies import SENT, reply

DEVICE = Consent(flow="device_code", url="https://id.example.com/device")
NEW = {"now": SENT, "nonce": "n"}
DEVICE_REPLY = {
    "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://id.example.com/device",
    "verification_uri_complete": "https://id.example.com/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 5,
}


def test_a_device_code_is_asked_for_at_the_job_s_other_endpoint_and_polled_for_at_the_token_endpoint():
    job = a_job(client_auth="none", scope=("orders",), params=(("for", "tokens"),), shape=Shape(consent=DEVICE))
    asked = device.request(job, replace(DEVICE, params=(("audience", "x"),)), {}, **NEW)
    assert (asked.method, asked.url) == ("POST", DEVICE.url)
    words = {"client_id": "acme", "scope": "orders", "audience": "x"}
    assert sorted(parse_qsl(asked.body.decode())) == sorted(words.items())
    offered = device.answer(reply(DEVICE_REPLY), sent_at=SENT, secrets=())
    polled = consent.token_request(job, device.grant(offered), {}, **NEW)
    assert polled.url == job.token_url
    words = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": DEVICE_REPLY["device_code"],
        "client_id": "acme",
        "for": "tokens",
    }
    assert sorted(parse_qsl(polled.body.decode())) == sorted(words.items())


def test_an_assertion_is_made_out_to_the_endpoint_that_is_asked():
    job = a_job(client_auth="client_secret_jwt", client_secret=Reference(kind="env", target="X"))
    asked = device.request(job, DEVICE, {"client_secret": Secret("s" * 32)}, **NEW)
    _, claims, _ = dict(parse_qsl(asked.body.decode()))["client_assertion"].split(".")
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["aud"] == DEVICE.url


def test_the_device_endpoint_s_answer():
    offered = device.answer(reply(DEVICE_REPLY), sent_at=SENT, secrets=())
    assert offered == DeviceCode(
        device_code=Secret(DEVICE_REPLY["device_code"]),
        user_code="WDJB-MJHT",
        verification_uri="https://id.example.com/device",
        complete="https://id.example.com/device?user_code=WDJB-MJHT",
        lifetime=timedelta(seconds=1800),
        interval=timedelta(seconds=5),
    )
    assert DEVICE_REPLY["device_code"] not in repr(offered)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 5),
        (0, 1),
        (1e300, 3600),
        (0.5, 1),
        ("7", 7),
        (7.9, 7),
        ("soon", 5),
        (-1, 5),
        (True, 5),
        (float("inf"), 5),
        ([], 5),
    ],
)
def test_the_pause_between_polls(said, seconds):
    answer = (
        reply(DEVICE_REPLY | {"interval": said})
        if said != float("inf")
        else reply(
            b'{"device_code":"d","user_code":"u","verification_uri":"https://x","expires_in":9,"interval":1e999}'
        )
    )
    assert device.answer(answer, sent_at=SENT, secrets=()).interval == timedelta(seconds=seconds)


def test_google_s_name_for_the_address_and_no_complete_one():
    answer = {name: value for name, value in DEVICE_REPLY.items() if not name.startswith("verification_uri")}
    answer |= {"verification_url": "https://www.google.com/device", "verification_uri_complete": "javascript:alert(1)"}
    offered = device.answer(reply(answer), sent_at=SENT, secrets=())
    assert (offered.verification_uri, offered.complete) == ("https://www.google.com/device", "")


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
    got = device.answer(reply(DEVICE_REPLY | changed), sent_at=SENT, secrets=())
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
    got = device.answer(response, sent_at=SENT, secrets=(Secret("the-secret-itself"),))
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
    assert device.next_interval(timedelta(seconds=5), rejected) == wait


def test_a_server_that_fails_is_not_asked_ever_less_often():
    interval = timedelta(seconds=5)
    for _ in range(10):
        interval = device.next_interval(interval, Rejected(kind="transient", error="transport"))
    assert interval == device.LONGEST_INTERVAL
    assert device.next_interval(timedelta(minutes=2), Rejected(kind="transient", error="transport")) == timedelta(
        minutes=2
    )


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just([]) | st.just({})


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(DEVICE_REPLY)), ANYTHING)
def test_no_member_makes_it_raise(name, value):
    got = device.answer(reply(DEVICE_REPLY | {name: value}), sent_at=SENT, secrets=())
    if isinstance(got, DeviceCode):
        assert got.verification_uri.isprintable()
        assert got.user_code.isprintable()
        assert SENT < SENT + got.interval < SENT + timedelta(hours=2)
        assert SENT + got.lifetime > SENT


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_make_it_raise(body):
    device.answer(reply(body), sent_at=SENT, secrets=())
