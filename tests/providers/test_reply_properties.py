"""The reader against whatever may come: random bytes, random JSON, and recorded replies with damage."""

import json
import re
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from refresher.core.job import ResponseMap
from refresher.core.model import Granted, HttpResponse, Rejected, Verdict
from refresher.core.secret import Secret
from refresher.providers import interpret
from tests.core.builders import a_job
from tests.providers.corpus import LINES
from tests.providers.replies import SENT

VISIBLE = re.compile(r"[\x21-\x7e]{1,65536}")
CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
HELD = Secret("held-refresh-token")
RECORDED = [line.response for line in LINES if not line.needs_socket and len(line.body) < 5000]

JOBS = st.sampled_from(
    [
        a_job(),
        a_job(scope=("a", "b"), require_scope=("a",), lifetime=timedelta(hours=1), keep=("id_token", "scope")),
        a_job(response=ResponseMap(access_token="data.token", expires_in="data.ttl", expires_in_unit="ms")),
        a_job(response=ResponseMap(error="code", error_ok=(0, "ok"), scope="granted", expires_in="expires_at")),
    ]
)
NAMES = st.sampled_from(
    [
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
        "expires_in_sec",
        "expires_at",
        "expires",
        "scope",
        "error",
        "error_codes",
        "error_description",
        "errors",
        "errcode",
        "code",
        "type",
        "data",
        "token",
        "ttl",
        "granted",
        "id_token",
    ]
)
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["AT", "Bearer", "60", "AADSTS90033: x", "2026-01-01T00:00:00", "9" * 400, 1e400, "a b"])
)
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=12)
BODIES = st.binary() | st.dictionaries(NAMES, VALUES).map(lambda members: json.dumps(members).encode())
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 501, 503]) | st.integers()
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["content-type", "content-encoding", "retry-after", "x-ratelimit-reset", "www-authenticate", "x-other"]
        ),
        st.text()
        | st.sampled_from(
            ["gzip", "charset=latin-1", "1700000060", "Tue, 14 Nov 2023 22:15:20 +9999", 'Bearer error="x', "5"]
        ),
    )
).map(tuple)


def holds(verdict: Verdict) -> None:
    """Fail unless `verdict` is one that the rest of the program can trust."""
    if isinstance(verdict, Rejected):
        assert CODE.fullmatch(verdict.error)
        assert verdict.retry_after is None or (1 <= verdict.retry_after <= 3600 and verdict.kind == "transient")
        assert verdict.refresh_token is None or VISIBLE.fullmatch(verdict.refresh_token.reveal())
        return
    token = verdict.token
    assert VISIBLE.fullmatch(token.access_token.reveal())
    assert token.expires_in is None or 1 <= token.expires_in <= 2**31 - 1
    assert token.refresh_token is None or VISIBLE.fullmatch(token.refresh_token.reveal())
    assert all(part and part.isprintable() for part in token.scope or ())
    for extra in token.extras.values():
        extra.reveal().encode()


@given(status=STATUSES, headers=HEADERS, body=BODIES, truncated=st.booleans(), job=JOBS)
@example(status=200, headers=(), body=b'{"access_token":"AT","expires_in":1e400}', truncated=False, job=a_job())
@settings(max_examples=600, deadline=None)
def test_any_reply_gives_a_verdict(status, headers, body, truncated, job):
    response = HttpResponse(status=status, headers=headers, body=body, truncated=truncated)
    verdict = interpret(response, job, sent_at=SENT, sent_refresh_token=HELD, previous=Secret("AT"), secrets=(HELD,))
    holds(verdict)
    assert verdict == interpret(
        response, job, sent_at=SENT, sent_refresh_token=HELD, previous=Secret("AT"), secrets=(HELD,)
    )


@given(data=st.data(), response=st.sampled_from(RECORDED))
@settings(max_examples=600, deadline=None)
def test_damaged_recordings_give_a_verdict(data, response):
    body = bytearray(response.body)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = min(len(body), start + data.draw(st.integers(0, 8)))
        body[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"null", b"\\ud800", b"1e999"])
        )
    holds(
        interpret(
            HttpResponse(status=response.status, headers=response.headers, body=bytes(body)), a_job(), sent_at=SENT
        )
    )


@given(members=st.dictionaries(NAMES.filter(lambda name: name != "refresh_token"), VALUES))
@settings(max_examples=300, deadline=None)
def test_a_held_refresh_token_is_never_replaced_by_nothing(members):
    """An answer that bears none says None, which means: keep the one you have."""
    response = HttpResponse(status=200, body=json.dumps(members | {"access_token": "AT"}).encode())
    verdict = interpret(response, a_job(), sent_at=SENT, sent_refresh_token=HELD)
    refresh_token = verdict.token.refresh_token if isinstance(verdict, Granted) else verdict.refresh_token
    assert refresh_token is None


@given(text=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_every_visible_character_survives(text):
    body = json.dumps({"access_token": text, "refresh_token": text}).encode()
    verdict = interpret(HttpResponse(status=200, body=body), a_job(), sent_at=SENT)
    assert isinstance(verdict, Granted)
    assert verdict.token.access_token == Secret(text) == verdict.token.refresh_token
