"""Reads jobs.toml and the files it includes: from a path to a TOML table, or to what is wrong with the file.

Rules of this module:
- What is judged is what was opened: type and mode come from the open file (fstat), not from its name.
- No text of the TOML reader is passed on: it may quote a secret. Line and column are.
"""

import glob
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

import tomli

from refresher.config.mistakes import Findings

LARGEST: Final = 64 * 2**20  # bytes; 100,000 jobs take about 30 MB
_PLACE: Final = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)\Z")
_SYNTAX: Final = (  # how tomli's messages begin, and what a person may do
    ("Expected '=' after a key", 'a key is followed by "=" and a value'),
    ("Invalid value", "no value stands here; a text stands in quotes"),
    ("Cannot overwrite a value", "this key stands here for the second time"),
    ("Cannot declare", "this table stands here for the second time"),
    ("Duplicate inline table key", "this key stands here for the second time"),
    ("Unterminated string", "the closing quotes of a text are missing"),
    ("Expected newline or end of document", "a line holds one key and its value"),
    ("Unclosed array", 'the closing "]" of a list is missing'),
    ("Unclosed inline table", 'the closing "}" of a table is missing'),
    ("Expected ']'", 'the closing "]" of a table\'s name is missing'),
    ("Expected ']]'", 'the closing "]]" of a table\'s name is missing'),
    ("Illegal character", "a character stands here that TOML does not allow"),
    ("Found invalid character", "a character stands here that TOML does not allow"),
    ("Invalid statement", "a key is made of letters, digits, _ and -, or stands in quotes"),
    ("Invalid initial character for a key part", "a key is made of letters, digits, _ and -, or stands in quotes"),
    ("Unescaped", "a backslash begins no known escape; in single quotes it stands for itself"),
    ("Cannot redefine", "this table stands here for the second time"),
    ("Cannot mutate", "this table or list is closed already"),
)


def table(path: Path, findings: Findings) -> dict[str, Any] | None:
    """Return what the file `path` holds, None where it can't be read as TOML; what is wrong is told to `findings`."""
    try:
        data, mode = _bytes(path)
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            why = f"is writable by group or others (mode {mode:04o}): take that away with chmod go-w"
            findings.wrong(str(path), "", "", why)
        return _parse(data)
    except _TextError as problem:
        findings.wrong(str(path), "", "", str(problem))
    except OSError as problem:
        findings.wrong(str(path), "", "", f"cannot be read: {os.strerror(problem.errno or 0)}")
    return None


class _TextError(Exception):
    """A mistake in our own words."""


def _bytes(path: Path) -> tuple[bytes, int]:
    with _opened(path) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise _TextError("is not a regular file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _TextError(f"is larger than {LARGEST // 2**20} MB: split it with include")
    return data, stat.S_IMODE(found.st_mode)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", opener=_without_waiting)
    except ValueError:
        raise _TextError("cannot be read: it is no file name") from None


def _without_waiting(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # a named pipe would wait for its writer


def _parse(data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
        return tomli.loads(text)
    except UnicodeDecodeError as problem:
        raise _TextError(f"is not UTF-8 (line {_line(data, problem.start)})") from None
    except tomli.TOMLDecodeError as problem:
        message = str(problem)
    except (ValueError, RecursionError):  # an integer of thousands of digits, brackets thousands deep
        raise _TextError("is TOML nested, or with numbers, beyond use") from None
    place = _PLACE.search(message)
    where = f"line {place[1]}, column {place[2]}" if place else f"line {_line(data, len(data))}, its last"
    hint = next((f": {ours}" for theirs, ours in _SYNTAX if message.startswith(theirs)), "")
    raise _TextError(f"is not valid TOML at {where}{hint}")


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def is_wild(pattern: str) -> bool:
    """Whether `pattern` may match no file without that being a mistake."""
    return glob.has_magic(pattern)


def included(patterns: Iterable[str], main: Path) -> tuple[dict[Path, list[int]], dict[str, int]]:
    """Return the files that `patterns` name, sorted within a pattern, each with the numbers of those that name it.

    Besides: how many files each pattern names.
    """
    found: dict[Path, list[int]] = {}
    counts: dict[str, int] = {}
    for number, pattern in enumerate(patterns):
        names = sorted(glob.glob(pattern, root_dir=main.parent))  # noqa: PTH207  # Path.glob takes no absolute pattern
        for name in names:
            found.setdefault(main.parent / name, []).append(number)
        counts[pattern] = len(names)
    return found, counts
