"""Whatever an event holds, its line is one line, bounded, and shows nothing that is not data."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.errors import StoreRefusedError, TransportError
from refresher.core.secret import Secret
from refresher.host import lines
from tests.guards.canaries import Canaries

HEAD = {"timestamp": "2026-11-21T10:00:00.000Z", "level": "info", "event": "rotated"}

# controls, ANSI, NEL, line and paragraph separator, bidirectional marks, zero width, BOM, a lone surrogate, DEL
NASTY = "\n\r\t\0\x07\x1b[2J\x1b]0;x\x07\x85\u2028\u2029\u202e\u2066\u200b\ufeff\ud800\x7f\x9b31m"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60) | st.just(NASTY)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(job=ANY_TEXT, key=ANY_TEXT, value=VALUES)
@pytest.mark.leak("L22")
def test_any_value_makes_one_line_of_json(job: str, key: str, value: object) -> None:
    members = HEAD | {"job": lines.plain(job), key: lines.plain(value)}
    line = lines.as_json(members)
    assert line.isascii()
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert json.loads(line, parse_constant=pytest.fail) == members


@given(job=ANY_TEXT, key=ANY_TEXT, value=VALUES)
@pytest.mark.leak("L22")
def test_any_value_makes_one_printable_line_for_people(job: str, key: str, value: object) -> None:
    line = lines.as_text(coloured=False)(HEAD | {"job": lines.plain(job), key: lines.plain(value)})
    assert line.endswith("\n")
    assert line[:-1].isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Secret("canary"), "***"),
        ({"deep": [Secret("canary"), (Secret("canary"),)]}, {"deep": ["***", ["***"]]}),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T10:00:00.000Z"),
        (timedelta(minutes=1.5), 90.0),
        (b"canary", "bytes"),
        (object(), "object"),
        (ValueError("canary"), "ValueError"),
        ("\ud800", "?"),
        (("a", 1, None, True), ["a", 1, None, True]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.leak("L29")
def test_only_data_is_shown(value: object, shown: object) -> None:
    assert lines.plain(value) == shown


def test_rings_and_floods_are_cut() -> None:
    ring: list[object] = []
    ring.append(ring)
    assert json.dumps(lines.plain(ring)) == '[[[["..."]]]]'
    mapping: dict[str, object] = {}
    mapping["m"] = mapping
    assert json.dumps(lines.plain(mapping)) == '{"m": {"m": {"m": {"m": "..."}}}}'
    assert lines.plain("x" * 5000) == "x" * 1024 + "..."
    assert lines.plain(list(range(500))) == list(range(100))
    assert len(lines.plain({str(n): n for n in range(500)})) == 100
    flood = HEAD | {"job": "crm"} | {f"k{n}": "\U0001f600" * 1024 for n in range(20)}
    assert json.loads(lines.as_json(flood)) == HEAD | {"job": "crm", "cut": True}
    assert lines.as_text(coloured=False)(flood).endswith("rotated crm cut=true\n")


@pytest.mark.leak("L22")
def test_a_number_that_json_does_not_know_never_gets_out() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        lines.as_json(HEAD | {"value": float("nan")})


def test_the_line_for_people() -> None:
    members = HEAD | {"job": "crm", "path": "secret/tokens/crm", "version": 3, "why": 'a "b" c', "note": ""}
    assert lines.as_text(coloured=False)(members) == (
        '2026-11-21T10:00:00.000Z INFO    rotated crm path=secret/tokens/crm version=3 why="a \\"b\\" c" note=""\n'
    )
    assert "\x1b[32mINFO" in lines.as_text(coloured=True)(members)


class Caught(Mapping[str, str]):
    """A mapping that walks through our own package when it is looked at, and fails on the way."""

    def __getitem__(self, key: str) -> str:
        raise KeyError(key)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> None:
        raise ValueError("canary")


def caught_in_our_code(local: str) -> BaseException:
    """Return an exception with a local, a text and a cause that must not be seen, and a frame of ours."""
    try:
        try:
            lines.plain({local: Caught()})
        except ValueError as error:
            raise TransportError("deadline", "20 s are over", sent=True) from error
    except TransportError as error:
        return error


@pytest.mark.leak("L5", "L9")
def test_an_exception_is_types_and_our_frames(canaries: Canaries) -> None:
    text = lines.describe(caught_in_our_code(canaries.plant("local")))
    canaries.check(text)
    assert "canary" not in text
    own, cause = text.split("; caused by ", 1)
    assert own == "TransportError: deadline: 20 s are over"  # raised here, outside the package: no frame
    assert cause.startswith("ValueError at refresher/host/lines.py:")
    assert " _mapping < refresher/host/lines.py:" in cause


def test_a_group_names_its_members() -> None:
    group = ExceptionGroup("canary", [ValueError("canary"), StoreRefusedError("denied", "no right on secret/x")])
    assert lines.describe(group) == "ExceptionGroup of (ValueError, StoreRefusedError: no right on secret/x)"


def test_a_ring_of_causes_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert lines.describe(first).count("caused by") == 4


def test_a_timestamp_has_milliseconds_and_z() -> None:
    assert lines.timestamp(datetime(2026, 11, 21, 10, 0, 0, 123999, tzinfo=UTC)) == "2026-11-21T10:00:00.123Z"
