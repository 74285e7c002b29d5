"""Secrets are hidden in text of others, in every dress that the canaries know."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.mask import masked
from refresher.core.secret import Secret
from tests.guards.canaries import Canaries

ODD = "+/= &%\"'é\\<"


@pytest.mark.parametrize("odd", ["", ODD])
@pytest.mark.parametrize(
    "dress",
    [
        str,
        repr,
        json.dumps,
        lambda secret: json.dumps(secret, ensure_ascii=False),
        lambda secret: f"+ curl -u acme:{secret} https://id.example.com",
        lambda secret: quote(secret, safe=""),
        lambda secret: quote(secret, safe="").lower(),
        quote_plus,
        lambda secret: secret[::-1],
        lambda secret: secret.encode().hex(),
        lambda secret: secret.encode().hex().upper(),
        lambda secret: base64.b64encode(f"a:{secret}".encode()).decode(),
        lambda secret: base64.b64encode(f"ab:{secret}".encode()).decode(),
        lambda secret: base64.urlsafe_b64encode(f"abc:{secret}:x".encode()).decode(),
    ],
)
@pytest.mark.leak("L21")
def test_no_dress_shows_a_secret(canaries: Canaries, dress, odd):
    secret = canaries.plant("secret", odd=odd)

    text = masked(f"before {dress(secret)} after", [Secret(secret)])

    canaries.check(text)
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "***" in text


def test_each_line_of_a_secret_is_hidden():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END PRIVATE KEY-----\n"

    assert masked("error in line  9w0BAQEFAASCBKcwggSj\r\n", [Secret(key)]) == "error in line  ***\r\n"


def test_one_secret_inside_another_is_hidden_whole():
    assert masked("abcd1234 1234", [Secret("1234"), Secret("abcd1234")]) == "*** ***"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_what_is_in_every_text_by_accident_is_left(short):
    assert masked("a text with abc in it", [Secret(short)]) == "a text with abc in it"


@given(st.text(), st.lists(st.text(), max_size=3))
def test_it_takes_any_text(text, secrets):
    left = masked(text, [Secret(secret) for secret in secrets])

    assert all(secret not in left for secret in secrets if len(secret) >= 4 and "*" not in secret)
