"""The lifetime that a JWT states itself, and the hint when to come back."""

import base64
import json
from datetime import timedelta

import pytest

from refresher.core.model import HttpResponse
from refresher.providers import interpret
from tests.core.builders import NOW as SENT_AT
from tests.core.builders import a_job


def _jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{body}.c2ln"


@pytest.mark.parametrize(
    ("claims", "expires_in"),
    [
        ({"exp": SENT_AT.timestamp() + 900}, 900),
        ({"exp": SENT_AT.timestamp() - 1}, None),
        ({"exp": "soon"}, None),
        ({"exp": 1e400}, None),
        ({}, None),
        ([], None),
        ("exp", None),
    ],
)
def test_a_jwt_states_its_own_lifetime_where_the_reply_states_none(claims, expires_in):
    body = json.dumps({"access_token": _jwt(claims)}).encode()
    token = interpret(HttpResponse(status=200, body=body), a_job(), sent_at=SENT_AT).token
    assert token.expires_in == expires_in
    fixed = interpret(HttpResponse(status=200, body=body), a_job(lifetime=timedelta(seconds=60)), sent_at=SENT_AT).token
    assert fixed.expires_in == 60, "the job's own word comes first"


@pytest.mark.parametrize(
    ("hint", "refresh_in"),
    [(1800, 1800), ("1800", 1800), (3600, None), (99999, None), (0, None), (-1, None), ("zzz", None)],
)
def test_a_hint_when_to_come_back_is_taken_where_it_makes_sense(hint, refresh_in):
    body = json.dumps({"access_token": "AT", "expires_in": 3600, "refresh_in": hint}).encode()
    assert interpret(HttpResponse(status=200, body=body), a_job(), sent_at=SENT_AT).token.refresh_in == refresh_in
