"""One event as one line: JSON for machines, words for a terminal.

Rules of this module:
- A value is shown only if it is plain data; of anything else the type's name is shown, never its repr.
- Of an exception: type names and the places in our own package where it passed; never a foreign exception's text,
  never a local, never a source line. Texts of our own errors are ours (core/errors.py) and are shown.
- Whatever is in it, a line has one newline, at its end, and a bounded length.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any, Final, TypeAlias

from refresher.core.errors import RefresherError
from refresher.core.secret import MASK, Secret

Plain: TypeAlias = "str | int | float | bool | list[Plain] | dict[str, Plain] | None"

TEXT_LIMIT: Final = 1024  # characters of one value
MEMBERS_LIMIT: Final = 100  # of one list or mapping
DEPTH_LIMIT: Final = 4  # an event is flat; deeper is a mistake, or a ring
LINE_LIMIT: Final = 16_384  # bytes: below journald's LineMax= of 48 KiB
FRAMES_LIMIT: Final = 20
CAUSES_LIMIT: Final = 5
CUT: Final = "..."
HEAD: Final = ("timestamp", "level", "event", "job")

_PACKAGE: Final = Path(__file__).parents[1]
_encode: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def plain(value: object, depth: int = 0) -> Plain:
    """Return `value` as JSON data: secrets masked, what is not data as its type's name, what is long cut."""
    if value is None or type(value) in _AS_THEY_ARE:
        return value  # type: ignore[return-value]  # mypy does not narrow by a set of types
    for kind, show in _SHOWN:
        if isinstance(value, kind):
            return show(value, depth)
    return type(value).__name__


def _mapping(value: Mapping[object, object], depth: int) -> Plain:
    if depth == DEPTH_LIMIT:
        return CUT
    return {_text(str(key)): plain(member, depth + 1) for key, member in islice(value.items(), MEMBERS_LIMIT)}


def _list(value: Sequence[object], depth: int) -> Plain:
    return CUT if depth == DEPTH_LIMIT else [plain(member, depth + 1) for member in value[:MEMBERS_LIMIT]]


def _text(text: str, _depth: int = 0) -> str:
    if len(text) > TEXT_LIMIT:
        text = text[:TEXT_LIMIT] + CUT
    # a lone surrogate is JSON to Python and an error to strict readers
    return text if text.isascii() else text.encode(errors="replace").decode()


def timestamp(moment: datetime) -> str:
    """Return `moment` in UTC as ISO 8601 with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def describe(error: BaseException) -> str:
    """Return an exception as `Type at file:line function < file:line function`, then what caused it."""
    return "; caused by ".join(_one(e) for e in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(CAUSES_LIMIT):
        if link is None:
            return
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _one(error: BaseException) -> str:
    name = f"{type(error).__name__}: {error}" if isinstance(error, RefresherError) else type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        name += f" of ({', '.join(_one(e) for e in error.exceptions[:CAUSES_LIMIT])})"
    places = list(_places(error.__traceback__))[-FRAMES_LIMIT:]
    return f"{name} at {' < '.join(reversed(places))}" if places else name


def _places(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        file = Path(code.co_filename)
        if file.is_relative_to(_PACKAGE):
            yield f"{file.relative_to(_PACKAGE.parent)}:{trace.tb_lineno} {code.co_qualname}"
        trace = trace.tb_next


_AS_THEY_ARE: Final = frozenset({int, bool})
_SHOWN: Final[tuple[tuple[Any, Callable[[Any, int], Plain]], ...]] = (
    (str, _text),
    ((int, NoneType), lambda value, _: value),
    (float, lambda value, _: value if math.isfinite(value) else str(value)),
    ((list, tuple), _list),
    (Mapping, _mapping),
    (Secret, lambda _value, _: MASK),
    (datetime, lambda value, _: timestamp(value)),
    (timedelta, lambda value, _: value.total_seconds()),
    (BaseException, lambda value, _: describe(value)),
)


def bounded(members: Mapping[str, Plain]) -> Mapping[str, Plain]:
    """Return `members`, or their head only where a line of all would be over the limit."""
    return members if len(_encode(members)) <= LINE_LIMIT else _cut(members)


def _cut(members: Mapping[str, Plain]) -> Mapping[str, Plain]:
    return {**dict(islice(members.items(), 4)), "cut": True}


def as_json(members: Mapping[str, Plain]) -> str:
    """Return one line of JSON in ASCII."""
    text = _encode(members)
    return (text if len(text) <= LINE_LIMIT else _encode(_cut(members))) + "\n"


def as_message(members: Mapping[str, Plain]) -> str:
    """Return `event job key=value ...`, for a reader that has time and level already."""
    head = [_visible(str(members[name])) for name in ("event", "job") if members.get(name)]
    rest = [f"{_visible(key)}={_word(value)}" for key, value in members.items() if key not in HEAD]
    return " ".join(head + rest)


_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31"}


def as_text(*, coloured: bool) -> Callable[[Mapping[str, Plain]], str]:
    """Return the renderer for people: `time LEVEL event job key=value ...`."""

    def paint(text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text

    def render(members: Mapping[str, Plain]) -> str:
        level = str(members["level"])
        head = [
            paint(_visible(str(members["timestamp"])), "2"),
            paint(f"{level.upper():7}", _COLOURS.get(level, "31")),
            paint(_visible(str(members["event"])), "1"),
        ]
        job = [paint(_visible(str(members["job"])), "36")] if members.get("job") else []
        rest = [f"{paint(_visible(key) + '=', '2')}{_word(value)}" for key, value in members.items() if key not in HEAD]
        line = " ".join(head + job + rest)
        return (line if len(line) < LINE_LIMIT else " ".join([*head, *job, "cut=true"])) + "\n"

    return render


def _word(value: Plain) -> str:
    if not isinstance(value, str):
        return _encode(value)
    shown = _visible(value)
    if shown and not {" ", '"'} & set(shown):
        return shown
    return '"' + shown.replace('"', r"\"") + '"'


def _visible(text: str) -> str:
    """Escape what a terminal obeys or hides: controls, ANSI, bidirectional marks, separators, surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
