"""No reply, whatever it is made of, costs more than a moment of CPU to judge; the loop is everybody's."""

import gzip
import time
from datetime import UTC, datetime

import pytest

from refresher.core.model import HttpResponse
from refresher.http import MAX_BODY
from refresher.providers import body, interpret
from tests.core.builders import a_job

MOST = 2.0  # seconds of CPU; the costliest takes 0.2


def filled(part: bytes, head: bytes = b"", tail: bytes = b"") -> bytes:
    """Return a body of the largest size that is read."""
    room = MAX_BODY - len(head) - len(tail)
    return head + (part * (room // len(part) + 1))[: room // len(part) * len(part)] + tail


TOKEN = b'{"access_token":"'
COSTLY = {
    "brackets": filled(b"["),
    "objects in objects": filled(b'{"a":'),
    "many objects": filled(b"{},", b'{"errors":[', b"{}]}"),
    "many members": b"{%b}"
    % b",".join(b'"%x":1' % number for number in range(100_000))[: MAX_BODY - 20].rpartition(b",")[0],
    "one member many times": filled(b'"a":1,', b"{", b'"b":1}'),
    "a long integer": filled(b"1", b'{"expires_in":', b"}"),
    "a long fraction": filled(b"1", b'{"expires_in":0.', b"}"),
    "a long exponent": filled(b"9", b'{"expires_in":1e', b"}"),
    "many numbers": filled(b"1e308,", b'{"a":[', b"1]}"),
    "many codes": b'{"error":"x","error_codes":[%b]}' % b",".join(b"%d" % (n << 30) for n in range(60_000)),
    "escapes": filled(b"\\u0041", TOKEN, b'"}'),
    "backslashes": filled(b"\\", b'{"'),
    "open strings": filled(b'{"'),
    "many scopes": filled(b"a ", b'{"access_token":"a","expires_in":1,"scope":"', b'"}'),
    "many commas": filled(b",", b'{"access_token":"a","expires_in":1,"scope":"', b'"}'),
    "a long token": filled(b"a", TOKEN, b'"}'),
    "a token like a JWT": TOKEN + b"a." + b"W1tb" * 16_000 + b'.c"}',
    "many fields": filled(b"a=1&"),
    "empty fields": filled(b"&", b"a=1"),
    "a field in percents": filled(b"%41", b"a="),
    "white space": filled(b" "),
    "a long name": filled(b"a.-"),
}


@pytest.mark.fault("F62")
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_reply_is_judged_in_a_moment(name, packed):
    plain = COSTLY[name]
    assert len(plain) <= MAX_BODY
    headers = (("content-encoding", "gzip"),) if packed else ()
    content = gzip.compress(plain, 1, mtime=0) if packed else plain
    for status in (200, 400):
        began = time.process_time()
        interpret(HttpResponse(status=status, headers=headers, body=content), a_job(), sent_at=datetime.now(UTC))
        assert time.process_time() - began < MOST


@pytest.mark.parametrize(
    "text", [b'{"a":[' + b"{}," * body.MOST + b"{}]}", b"a=1&" * (body.MOST + 1), b'{"a":"' + b"[" * body.MOST + b'["}']
)
def test_more_parts_than_any_token_reply_has_are_no_reply(text):
    assert interpret(HttpResponse(status=200, body=text), a_job(), sent_at=datetime.now(UTC)).error == "body"
