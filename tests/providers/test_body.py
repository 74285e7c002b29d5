"""From bytes to members: what the recorded replies leave open."""

import gzip
import json
import time

import pytest

from refresher.core.model import Granted
from refresher.providers.body import DEPTH, LIMIT
from tests.providers.replies import judge, refusal, reply

GOOD = json.dumps({"access_token": "AT", "note": "é"}, ensure_ascii=False)


@pytest.mark.parametrize("status", [100, 202, 203, 204, 0, -5, 600])
def test_only_200_and_201_can_bear_a_token(status):
    assert refusal(reply({"access_token": "AT"}, status)).error == "status"
    assert isinstance(judge(reply({"access_token": "AT"}, 201)), Granted)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity, gzip", ["identity", "gzip"], " gzip ,"])
def test_gzip_is_undone(coding):
    assert isinstance(judge(reply(gzip.compress(GOOD.encode()), content_encoding=coding)), Granted)


@pytest.mark.parametrize("coding", ["", "identity", ["identity", ""]])
def test_identity_is_no_coding(coding):
    assert isinstance(judge(reply(GOOD.encode(), content_encoding=coding)), Granted)


PACKED = gzip.compress(GOOD.encode(), mtime=0)  # the same in every process: it is in the names of tests


@pytest.mark.parametrize(
    ("body", "coding", "error"),
    [
        (PACKED[:-1], "gzip", "encoding"),
        (PACKED[:20], "gzip", "encoding"),
        (PACKED + b"x", "gzip", "encoding"),
        (PACKED + PACKED, "gzip", "encoding"),
        (gzip.compress(PACKED, mtime=0), "gzip, gzip", "encoding"),
        (GOOD.encode(), "deflate", "encoding"),
        (b"", "gzip", "body"),
        (gzip.compress(b" " * (LIMIT + 1), mtime=0), "gzip", "too_large"),
        (gzip.compress(b" " * 50 * LIMIT, mtime=0), "gzip", "too_large"),
    ],
)
def test_a_coding_that_is_broken_or_too_large_is_refused(body, coding, error):
    assert refusal(reply(body, content_encoding=coding)).error == error


def test_the_cap_itself_is_allowed():
    assert LIMIT == 1_048_576
    padding = b" " * (LIMIT - len(GOOD.encode()))
    assert isinstance(judge(reply(GOOD.encode() + padding)), Granted)
    assert isinstance(judge(reply(gzip.compress(GOOD.encode() + padding), content_encoding="gzip")), Granted)
    assert refusal(reply(GOOD.encode() + padding + b" ")).error == "too_large"
    assert refusal(reply(GOOD.encode(), truncated=True)).error == "too_large"
    assert refusal(reply(GOOD.encode(), 400, truncated=True)).error == "http_400"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("iso-8859-1", "latin-1"), ("Latin1", "latin-1"), ('"windows-1252"', "cp1252"), ("UTF-8", "utf-8")],
)
def test_declared_character_sets(charset, codec):
    response = reply(GOOD.encode(codec), content_type=f"application/json; charset={charset}")
    verdict = judge(response, job={"keep": ("note",)})
    assert isinstance(verdict, Granted)
    assert verdict.token.extras["note"].reveal() == "é"


@pytest.mark.parametrize("declared", ["charset=utf-16", "charset=shift_jis", "charset=", "", "charset=windows-1252"])
def test_other_character_sets_are_refused(declared):
    assert refusal(reply(b'{"access_token": "AT", "x": "\x81"}', content_type=declared)).error == "body"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[]",
        b"{",
        b"{'access_token': 'AT'}",
        b'{"access_token": "AT",}',
        b'{"access_token": "AT"} // done',
        b'\x00{"access_token": "AT"}',
        b"access_token",
        b"=AT",
        b"access_token=%ff",
        b'{"access_token": "AT", "x": -Infinity}',
    ],
)
def test_neither_json_nor_form(body):
    assert refusal(reply(body)).error == "body"


def test_a_form_is_read_as_one():
    token = judge(reply(b"access_token=A%2BT&expires_in=60&scope=a+b&refresh_token=")).token
    assert (token.access_token.reveal(), token.expires_in, token.scope, token.refresh_token) == (
        "A+T",
        60,
        ("a", "b"),
        None,
    )


@pytest.mark.parametrize("item", [[], {"a": 0}, '[[[["[[[[\\'])
def test_depth_counts_brackets_and_not_text(item):
    assert isinstance(judge(reply({"access_token": "AT", "x": [item] * (2 * DEPTH)})), Granted)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded(opening, closing):
    def nested(depth: int) -> bytes:
        inner = depth - 1
        return b'{"access_token":"AT","y":{"z":[]},"x":' + opening * inner + b"0" + closing * inner + b"}"

    assert DEPTH == 32
    assert isinstance(judge(reply(nested(DEPTH))), Granted)
    assert refusal(reply(nested(DEPTH + 1))).error == "body"


def test_a_repeated_member_counts_only_where_it_is_used():
    assert isinstance(
        judge(reply(b'{"access_token":"AT","x":1,"x":2,"y":{"access_token":1,"access_token":2}}')), Granted
    )
    assert isinstance(judge(reply(b'{"access_token":"AT","expires_in":5,"expires":1,"expires":2}')), Granted)
    for member in ("token_type", "expires_in", "refresh_token", "scope", "error", "errorCode", "errors"):
        body = f'{{"access_token":"AT","{member}":null,"{member}":null}}'.encode()
        assert refusal(reply(body)).error == "duplicate", member
        assert refusal(reply(body, 400)).error == "http_400", member


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' + b"[]," * 33 + b'"' + b'\\"' * (LIMIT // 2),
        b"{" + b'"a":1,' * (LIMIT // 6),
        b"a=" + b"%" * (LIMIT - 2),
        b"a" * LIMIT,
        b'{"a":[' + b"{}," * (LIMIT // 3 - 4) + b"{}]}",
        b'{"a":' + b"9" * (LIMIT - 10) + b"}",
    ],
    ids=["escapes", "members", "percents", "name", "objects", "digits"],
)
def test_hostile_bodies_take_linear_time(body):
    """A square of a million would take minutes."""
    begun = time.process_time()
    judge(reply(body))
    assert time.process_time() - begun < 5
