"""The reader against damaged recordings, hundreds of thousands of them.

`FUZZ_MUTATIONS` sets how many, `FUZZ_SEED` which ones. A failure names its number: `tests.fuzz.replies.mutation` makes
that one again.
"""

import json
import os
import re
import time
from urllib.parse import parse_qsl

import pytest

from refresher.core.model import Granted, HttpResponse, Rejected, Verdict
from refresher.core.secret import Secret
from refresher.providers import body, failure, fields, interpret
from tests.core.builders import a_job
from tests.fuzz.replies import CLIENT_SECRET, HELD, Mutation, mutation, mutations
from tests.providers.replies import SENT

ORDINARY = 200_000
NIGHTLY = 2_000_000
COUNT = int(os.environ.get("FUZZ_MUTATIONS", str(ORDINARY)))
LONGEST = 120 * max(1, COUNT // ORDINARY)  # seconds
SEED = int(os.environ.get("FUZZ_SEED", "1"))
VISIBLE = re.compile(r"[\x21-\x7e]{1,65536}")
CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
PREVIOUS = Secret("AT")


class FoundError(AssertionError):
    """A mutation that breaks a promise of the reader."""

    def __init__(self, one: Mutation, why: str) -> None:
        reply = one.response
        super().__init__(
            f"mutation {one.number} of seed {SEED}: {why}\n{reply.status} {reply.headers} {reply.body[:500]!r}"
        )


def read(one: Mutation) -> Verdict:
    return interpret(
        one.response,
        one.job,
        sent_at=SENT,
        sent_refresh_token=HELD,
        previous=PREVIOUS,
        secrets=(CLIENT_SECRET, HELD),
    )


def check(one: Mutation) -> str:
    """Return the kind of verdict on `one`; raise FoundError where it breaks a promise."""
    try:
        verdict = read(one)
    except Exception as problem:
        raise FoundError(one, f"raised {problem!r}") from problem
    broken = list(_granted(one, verdict) if isinstance(verdict, Granted) else _rejected(verdict))
    if broken:
        raise FoundError(one, f"{', '.join(broken)}: {verdict}")
    return "granted" if isinstance(verdict, Granted) else verdict.kind


def _granted(one: Mutation, verdict: Granted):
    token, reply = verdict.token, one.response
    tokens = [secret.reveal() for secret in (token.access_token, token.refresh_token) if secret is not None]
    if reply.status not in (200, 201) or reply.truncated:
        yield "granted, and the status or the wire says no"
    if not all(VISIBLE.fullmatch(text) for text in tokens):
        yield "a token that can not be sent"
    if not (token.expires_in is None or (type(token.expires_in) is int and 1 <= token.expires_in <= 2**31 - 1)):
        yield "a lifetime out of bounds"
    if not (token.refresh_in is None or 1 <= token.refresh_in <= 2**31 - 1):
        yield "a hint out of bounds"
    if not all(part and part.isprintable() for part in token.scope or ()):
        yield "a scope that can not be shown"
    if not reply.header("content-encoding"):
        said, strings = _independently(reply.body)
        if not set(tokens) <= strings:
            yield "a token that the reply does not hold"
        if isinstance(said.get("error"), str) and said["error"] and one.job.response.error is None:
            yield "granted, and the reply states an error"


def _rejected(verdict: Verdict):
    if not isinstance(verdict, Rejected) or verdict.kind not in ("permanent", "transient", "malformed"):
        yield "neither granted nor rejected"
        return
    if CODE.fullmatch(verdict.error) is None:
        yield "a code that can not be shown"
    if any(verdict.error in secret.reveal() and len(verdict.error) >= 12 for secret in (HELD, CLIENT_SECRET)):
        yield "a code that shows a secret"
    if not (verdict.retry_after is None or (1 <= verdict.retry_after <= 3600 and verdict.kind == "transient")):
        yield "a wait out of bounds"
    if verdict.refresh_token is not None and VISIBLE.fullmatch(verdict.refresh_token.reveal()) is None:
        yield "a refresh token that can not be sent"


def _independently(content: bytes) -> tuple[dict[str, object], set[object]]:
    """Read the body in another way than the reader does: its top members, and every text in it."""
    for codec in ("utf-8-sig", "cp1252", "latin-1"):
        try:
            text = content.decode(codec)
            break
        except UnicodeDecodeError:
            continue
    if not text.lstrip().startswith("{"):
        pairs = parse_qsl(text, keep_blank_values=True)
        return dict(pairs), {value for _, value in pairs}
    strings: set[object] = set()

    def gather(pairs: list[tuple[str, object]]) -> dict[str, object]:
        strings.update(value for _, value in pairs if isinstance(value, str))
        return dict(pairs)

    return json.loads(text, object_pairs_hook=gather, parse_int=float), strings


def fuzz(count: int) -> dict[str, int]:
    """Return how many verdicts of each kind came of `count` mutations."""
    kinds: dict[str, int] = {}
    for one in mutations(count, seed=SEED):
        kind = check(one)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def report(count: int, kinds: dict[str, int], seconds: float) -> str:
    shares = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
    return f"{count} mutations of seed {SEED} in {seconds:.1f} s ({count / seconds:.0f}/s): {shares}"


@pytest.mark.timeout(2 * LONGEST)  # the machine may have other work
def test_no_mutation_breaks_a_promise(measured):
    begun = time.process_time()
    kinds = fuzz(COUNT)
    seconds = time.process_time() - begun
    measured(report(COUNT, kinds, seconds))
    assert sum(kinds.values()) == COUNT
    assert all(kinds[kind] > COUNT / 50 for kind in ("granted", "permanent", "transient", "malformed"))
    assert seconds < LONGEST


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_nor_do_ten_times_as_many(measured, monkeypatch):
    monkeypatch.setitem(globals(), "SEED", SEED + 1)
    begun = time.process_time()
    kinds = fuzz(NIGHTLY)
    measured(report(NIGHTLY, kinds, time.process_time() - begun))


@pytest.mark.parametrize("life", ["null", "9223372036854775807"])
@pytest.mark.parametrize("hint", ["2147483648", "1e30", "9" * 30])
def test_a_hint_beyond_all_clocks_is_none(hint, life):
    """Found by the fuzzer: nothing bounded the hint, and no clock reaches the moment that it named."""
    content = f'{{"access_token": "AT", "refresh_in": {hint}, "expires_in": {life}}}'.encode()
    one = Mutation(number=0, response=HttpResponse(status=200, body=content), job=a_job())
    assert check(one) == "granted"
    assert read(one).token.refresh_in is None


def test_a_mutation_can_be_made_again():
    assert all(mutation(number, seed=7) == mutation(number, seed=7) for number in range(300))
    assert len({mutation(number, seed=7).response.body for number in range(300)}) > 200


@pytest.mark.parametrize(
    ("module", "name", "broken"),
    [
        (fields, "_TOKEN", re.compile(r"[\x20-\x7e]{1,65536}")),  # one character too many
        (fields, "_TOKEN", re.compile(r"[\x21-\x7f]{1,65536}")),
        (fields, "LONGEST_LIFE", 2**31),
        (fields, "_whole", lambda value, _: int(value or 0)),
        (body, "_too_much", lambda _: False),
        (failure, "_SAFE", re.compile(r".{1,64}")),
        (failure, "_echoes", lambda *_: False),
        (failure, "_standard", lambda _: None),
    ],
    ids=["space", "delete", "lifetime", "number", "depth", "code", "echo", "error"],
)
def test_a_broken_reader_is_caught(monkeypatch, module, name, broken):
    monkeypatch.setattr(module, name, broken)
    with pytest.raises(FoundError, match=r"mutation \d+ of seed"):
        fuzz(40_000)
