"""Recorded replies with damage: each mutation follows from a seed and a number alone, so any can be made again.

Rules of this module:
- A mutation damages what a peer controls: bytes, JSON, headers, status; at times several at once.
- The reply is judged as some job of the catalogue or of the tests would, with secrets that must not show.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from refresher.core.job import Job, ResponseMap
from refresher.core.model import HttpResponse
from refresher.core.secret import Secret
from refresher.providers import catalogue
from tests.core.builders import a_job
from tests.providers.corpus import LINES

HELD: Final = Secret("held-refresh-token-0123456789abcdef")
CLIENT_SECRET: Final = Secret("s3cr3t-of-the-client-ABCDEFGHIJ")
_LARGE: Final = 20_000  # bytes; larger recordings are bombs, and slow: one mutation in a thousand is enough
_BASES: Final = [line.response for line in LINES if not line.needs_socket]
SMALL: Final = [base for base in _BASES if len(base.body) <= _LARGE]
LARGE: Final = [base for base in _BASES if len(base.body) > _LARGE]

_MAPS: Final = {row.response for row in catalogue().values()} | {
    ResponseMap(access_token="data.token", expires_in="data.ttl", expires_in_unit="ms", scope="data.scope"),
    ResponseMap(access_token="tenant_access_token", expires_in="expire", error="code", error_ok=(0, "ok")),
}
JOBS: Final[list[Job]] = [
    *(a_job(response=where) for where in sorted(_MAPS, key=repr)),
    a_job(scope=("a", "b"), require_scope=("a",), lifetime=timedelta(hours=1), keep=("id_token", "instance_url")),
]

_NAMES: Final = (
    *("access_token", "accessToken", "token", "refresh_token", "refreshToken", "token_type", "tokenType", "scope"),
    *("expires_in", "expiresIn", "expires_in_sec", "expires_on", "expires_at", "expires", "expire", "refresh_in"),
    *("error", "error_code", "errorCode", "ErrorCode", "errcode", "errors", "error_codes", "error_description"),
    *("data", "code", "type", "errorType", "id_token", "tenant_access_token", "ttl", "", "\ud800", "x" * 300),
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 59, 0.5, 1e3, 1e308, 1e400, -0.0, 2**31 - 1, 2**31, 2**63, 10**30, "", " ", "0"),
    *("-5", "3600", " 60 ", "1e5", "٣٦٠٠", "9" * 5000, "1700003600", 1_700_003_600, 1_700_003_600_000, 1_600_000_000),
    *("2026-11-21T10:00:00Z", "9999-12-31T23:59:59+99:99", "0001-01-01T00:00:00", "2023-11-14T22:13:21", "NaN"),
    *("bearer", "DPoP", "Bot", "mac", "a b", "a,b", "a" * 70_000, "tok\nen", "tok en", "tok\x00", "tök", "\ud800"),
    *("server_error", "invalid_grant", "slow_down", "temporarily_unavailable", "AADSTS90033: x", "<script>", "e" * 65),
    *([], {}, [[]], [None], ["a", "b"], ["a", 1], {"type": "x"}, {"code": 5}, [{"errorType": "expired"}], [{}]),
    *(90033, 50196, [90033], [1e5, [], {}], HELD.reveal(), CLIENT_SECRET.reveal(), CLIENT_SECRET.reveal()[3:20]),
)
_BITS: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"=", b"&", b"%", b"%zz", b"%00", b"+", b"null", b"true", b"-1"),
    *(b"1e999", b"NaN", b"Infinity", b"-0", b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\\ud800", b"\\u0000", b"<"),
    *(b'"access_token":"x",', b'"error":"e",', b'"expires_in":"9",', b"[" * 40, b"[" * 5000, b'{"a":' * 3000),
    *(b"1" * 5000, b"access_token=a&", b"error=e&", b"\r\n", b"\n\n{}", HELD.reveal().encode(), b"// x", b"\x1f\x8b"),
)
_HEADERS: Final = (
    *("retry-after", "www-authenticate", "content-encoding", "content-type", "x-ratelimit-reset", "x-rate-limit-reset"),
    *("content-length", "location", "date", "set-cookie"),
)
_HEADER_VALUES: Final = (
    *("0", "-1", "5", "1.5", "1e9", "99999999999999999999", "1700000060", "٣", "", "-", "\x00\xff", "9" * 400),
    *("Tue, 14 Nov 2023 22:15:20 GMT", "Tue, 99 Nov 0000 22:15:20 +9999", "Mon, 1 Jan 9999 99:99:99 -9999"),
    *("gzip", "identity", "gzip, gzip", "x-gzip", "br", "deflate", "application/json; charset=latin-1"),
    *(
        "text/html; charset=utf-16",
        "text/plain; charset=cp1252",
        'charset="',
        'Bearer error="x',
        "Bearer error=slow_down",
    ),
    *('Bearer error="a\\"b", error="c"', f'error="{CLIENT_SECRET.reveal()}"', "https://elsewhere.example/"),
)
_STATUSES: Final = (*(200,) * 8, 201, 202, 204, 206, 301, 302, 307, 400, 400, 401, 401, 403, 404, 405, 407, 408, 409)
_ODD_STATUSES: Final = (425, 429, 500, 501, 502, 503, 504, 599, 0, 99, 600, 999, -5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One damaged reply, and the job that gets it."""

    number: int
    response: HttpResponse
    job: Job


def mutations(count: int, *, seed: int = 1) -> Iterator[Mutation]:
    """Yield the mutations 0 to `count` - 1 of `seed`."""
    for number in range(count):
        yield mutation(number, seed=seed)


def mutation(number: int, *, seed: int = 1) -> Mutation:
    """Return one mutation; the same numbers give the same one, in any process."""
    chance = random.Random(seed * 1_000_000_007 + number)  # noqa: S311  # nothing secret: damage that can be repeated
    base = chance.choice(LARGE if chance.random() < 0.001 else SMALL)
    for damage in chance.choices(_DAMAGES, weights=_WEIGHTS, k=chance.choice((1, 1, 1, 2, 3))):
        base = damage(base, chance)
    return Mutation(number=number, response=base, job=chance.choice(JOBS))


def _bytes(base: HttpResponse, chance: random.Random) -> HttpResponse:
    body = bytearray(base.body)
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(body))
        end = min(len(body), start + chance.randint(0, 24))
        match chance.randrange(5):
            case 0:
                body[start:start] = chance.choice(_BITS)
            case 1:
                body[start:end] = chance.choice(_BITS)
            case 2:
                del body[start:end]
            case 3:
                body[start : start + 1] = bytes([chance.randrange(256)])
            case _:
                body[start:start] = body[start:end]
    return replace(base, body=bytes(body))


def _cut(base: HttpResponse, chance: random.Random) -> HttpResponse:
    kept = base.body[: chance.randint(0, len(base.body))]
    return replace(base, body=kept, truncated=chance.random() < 0.2)


def _members(base: HttpResponse, chance: random.Random) -> HttpResponse:
    """Damage the JSON object: a value, a name, one member more or less, all of it one level down."""
    members = _object(base.body)
    for _ in range(chance.randint(1, 4)):
        old, name = chance.choice([*members, "error"]), chance.choice(_NAMES)
        match chance.randrange(5):
            case 0:
                members[old] = chance.choice(_VALUES)
            case 1:
                members[name] = chance.choice(_VALUES)
            case 2:
                members.pop(old, None)
            case 3:
                members[name] = members.pop(old, None)
            case _:
                members = {chance.choice(("data", "result", name)): members, **dict(list(members.items())[:1])}
    return replace(base, body=_json(members))


def _twice(base: HttpResponse, chance: random.Random) -> HttpResponse:
    """State a member twice, which no JSON library writes."""
    name, value = chance.choice(_NAMES), chance.choice(_VALUES)
    extra = _json({name: value})[1:-1]
    return replace(base, body=_json(_object(base.body))[:-1] + b"," + extra + b"}")


def _crossed(base: HttpResponse, chance: random.Random) -> HttpResponse:
    """Mix the members of two recordings."""
    both = list({**_object(base.body), **_object(chance.choice(SMALL).body)}.items())
    chance.shuffle(both)
    return replace(base, body=_json(dict(both[: chance.randint(0, len(both))])))


def _headers(base: HttpResponse, chance: random.Random) -> HttpResponse:
    headers = list(base.headers)
    for _ in range(chance.randint(1, 3)):
        if headers and chance.random() < 0.3:
            del headers[chance.randrange(len(headers))]
        else:
            headers.append((chance.choice(_HEADERS), chance.choice(_HEADER_VALUES)))
    return replace(base, headers=tuple(headers))


def _status(base: HttpResponse, chance: random.Random) -> HttpResponse:
    return replace(base, status=chance.choice(_STATUSES + _ODD_STATUSES))


def _granted(base: HttpResponse, _: random.Random) -> HttpResponse:
    """Say 200 and nothing of an error: what follows is read as a token, not as a refusal."""
    members = {name: value for name, value in _object(base.body).items() if not name.lower().startswith("err")}
    return replace(base, status=200, headers=(), body=_json({"access_token": "AT", **members}))


def _compressed(base: HttpResponse, chance: random.Random) -> HttpResponse:
    packed = gzip.compress(base.body, compresslevel=1, mtime=0)
    if chance.random() < 0.5:
        packed = bytes(_bytes(replace(base, body=packed), chance).body)
    return replace(base, body=packed, headers=(*base.headers, ("content-encoding", "gzip")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {"access_token": "AT", "expires_in": 3600}
    return found if isinstance(found, dict) else {"access_token": found}


def _json(value: object) -> bytes:
    return json.dumps(value).encode("ascii")  # NaN and infinity as Python writes them, lone surrogates as escapes


_DAMAGES: Final[tuple[Callable[[HttpResponse, random.Random], HttpResponse], ...]] = (
    *(_bytes, _members, _granted, _twice, _crossed, _headers, _status, _cut, _compressed),
)
_WEIGHTS: Final = (25, 30, 30, 6, 8, 10, 8, 3, 3)
