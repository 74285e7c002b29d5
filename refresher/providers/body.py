"""From a reply's bytes to its members: content coding, character set, depth, JSON or form.

Rules of this module:
- Whatever the bytes, the outcome is `Members` or `UnusableReplyError`, in time linear in their number.
- Content-Type is a hint alone: token endpoints send forms as JSON, JSON as text and HTML as anything.
"""

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import parse_qsl

from refresher.core.model import HttpResponse

LIMIT: Final = 1 << 20  # bytes after decompression; golang.org/x/oauth2 reads no more either
DEPTH: Final = 32  # of brackets; json recurses, and ends in RecursionError far below a hostile depth
MOST: Final = 10_000  # brackets, or fields of a form; a token reply has a dozen, and each costs a microsecond and more
_LONG_INTEGER: Final = 20  # digits; more than an int64 has

_START: Final = re.compile(r"[ \t\r\n]*+(?:(\{)|[A-Za-z_][\w.-]*+=)", re.ASCII)
_BRACKETS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_STEP: Final = {"{": 1, "[": 1, "}": -1, "]": -1}
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w-]+)", re.ASCII | re.IGNORECASE)
_SINGLE_BYTE: Final = {"iso-8859-1": "latin-1", "latin-1": "latin-1", "latin1": "latin-1"} | dict.fromkeys(
    ("windows-1252", "cp1252"), "cp1252"
)


class UnusableReplyError(Exception):
    """A reply that gives no usable token; `error` names the member or the step. Never leaves `providers/`."""

    def __init__(self, error: str, kind: Literal["permanent", "malformed"] = "malformed") -> None:
        super().__init__(error)
        self.error = error
        self.kind: Final = kind


class Members(dict[str, object]):
    """The members of a reply, or of an object in it. `repeated`: names that came more than once."""

    repeated: frozenset[str] = frozenset()

    def one(self, *names: str) -> object:
        """Return the first of `names` that is there, or None; raise `duplicate` when it came more than once.

        RFC 6749 section 3.2: parameters must not be included more than once. One that nobody asks for may.
        """
        for name in names:
            if name in self:
                if name in self.repeated:
                    raise UnusableReplyError("duplicate")
                return self[name]
        return None

    def locate(self, path: str) -> tuple["Members", str]:
        """Return the object that holds the last name of `path` (`data.token`), and that name."""
        head, dot, rest = path.partition(".")
        inner = self.one(head) if dot and path not in self else None
        return inner.locate(rest) if isinstance(inner, Members) else (self, path)


def parse(response: HttpResponse) -> Members:
    """Return the top members of the body; raise `too_large`, `encoding` or `body`."""
    if response.truncated:
        raise UnusableReplyError("too_large")
    text = _text(_plain(response), response)
    start = _START.match(text)
    if start is None:
        raise UnusableReplyError("body")
    try:
        if start.group(1) is None:
            return _members(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST))
        if _too_much(text):
            raise UnusableReplyError("body")
        found: Members = _JSON.decode(text)
    except ValueError:
        raise UnusableReplyError("body") from None
    return found


def _plain(response: HttpResponse) -> bytes:
    """Undo the content coding (RFC 9110 section 8.4): identity or one gzip member, within the limit."""
    codings = [
        name
        for value in response.header("content-encoding")
        for part in value.split(",")
        if (name := part.strip().lower()) not in ("", "identity")
    ]
    body = response.body
    if codings and body:
        if codings not in (["gzip"], ["x-gzip"]):
            raise UnusableReplyError("encoding")
        body = _gunzip(body)
    if len(body) > LIMIT:
        raise UnusableReplyError("too_large")
    return body


def _gunzip(body: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with gzip's header and checksum
    try:
        plain = inflater.decompress(body, LIMIT + 1)
    except zlib.error:
        raise UnusableReplyError("encoding") from None
    if len(plain) <= LIMIT and (not inflater.eof or inflater.unused_data):  # cut off, or something behind it
        raise UnusableReplyError("encoding")
    return plain


def _text(body: bytes, response: HttpResponse) -> str:
    """Decode UTF-8 (RFC 8259 section 8.1; a byte order mark is skipped), else a declared single-byte set."""
    declared = _CHARSET.search(" ".join(response.header("content-type")))
    single_byte = _SINGLE_BYTE.get(declared.group(1).lower()) if declared else None
    for codec in ("utf-8-sig", single_byte):
        try:
            return body.decode(codec or "ascii")
        except UnicodeDecodeError:
            continue
    raise UnusableReplyError("body")


def _too_much(text: str) -> bool:
    brackets = text.count("{") + text.count("[")
    if not DEPTH < brackets <= MOST:
        return brackets > MOST
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += _STEP.get(match.group(), 0)
        if depth > DEPTH:
            return True
    return False


def _members(pairs: Iterable[tuple[str, object]]) -> Members:
    pairs = list(pairs)
    members = Members(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        members.repeated = frozenset(name for name, count in counts.items() if count > 1)
    return members


def _integer(digits: str) -> int | float:
    """Return a JSON integer; a long one as a float, perhaps infinite, since `int` refuses thousands of digits."""
    return int(digits) if len(digits) < _LONG_INTEGER else float(digits)


def _no_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON (RFC 8259 section 6)")


_JSON: Final = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_constant=_no_constant)
