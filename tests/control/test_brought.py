"""A token that a person brings is judged as a provider's reply is, and has an end."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.control.brought import judged
from refresher.core.job import ResponseMap
from refresher.core.model import Rejected, Token
from refresher.core.secret import Secret
from tests.core.builders import NOW, a_job

HOUR = timedelta(hours=1)
REPLY = {"access_token": "AT", "token_type": "Bearer", "expires_in": 600, "scope": "read"}


def of(text, job=None, lifetime=None):
    return judged(
        Secret(text if isinstance(text, str) else json.dumps(text)), job or a_job(), now=NOW, lifetime=lifetime
    )


@pytest.mark.parametrize("text", ["AT", "AT\n", "  AT \n"])
def test_a_bare_token_lives_as_long_as_somebody_says(text):
    token = of(text, lifetime=HOUR)
    assert (token.access_token.reveal(), token.issued_at, token.expires_in) == ("AT", NOW, 3600)
    assert of(text, a_job(lifetime=2 * HOUR)).expires_in == 7200
    assert of(text).error == "expires_in", "one without an end would never be renewed"


def test_a_reply_is_read_as_the_providers_own():
    token = of(REPLY)
    assert (token.access_token.reveal(), token.expires_in, token.scope) == ("AT", 600, ("read",))
    assert of(REPLY, lifetime=HOUR).expires_in == 3600, "a person's word wins"
    mapped = a_job(response=ResponseMap(access_token="data.token"))
    assert of({"data": {"token": "AT2", "expires_in": 60}}, mapped).access_token.reveal() == "AT2"
    assert of("AT3", mapped, HOUR).access_token.reveal() == "AT3", "alone, it is no reply"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a b", "access_token"),
        ("tökén", "access_token"),
        ('{"access_token": "AT"', "body"),
        ("{}", "access_token"),
        (REPLY | {"refresh_token": "RT"}, "refresh_token"),
        ({"error": "invalid_grant"}, "invalid_grant"),
        (REPLY | {"token_type": "mac"}, "unsupported_token_type"),
    ],
)
def test_what_is_no_token_is_declined(text, error):
    assert of(text, lifetime=HOUR).error == error


def test_a_scope_that_the_job_requires_is_required_of_a_person_too():
    assert of(REPLY, a_job(require_scope=("write",))).error == "insufficient_scope"


@given(st.text(), st.one_of(st.none(), st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=36500))))
def test_whatever_is_brought_is_a_token_with_an_end_or_declined(text, lifetime):
    match of(text, lifetime=lifetime):
        case Token() as token:
            assert token.expires_in is not None
            assert all("!" <= letter <= "~" for letter in token.access_token.reveal())
        case Rejected() as rejected:
            assert rejected.error.isascii()
