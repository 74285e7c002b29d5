"""Reads jobs.toml and the files it includes: from a path to a TOML table, or to one clear mistake.

Rules of this module:
- What is judged is what was opened: type and mode come from the open file (fstat), not from its name.
- No text of the TOML reader is passed on: it may quote a secret. Line and column are.
"""

import glob
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, Final

from refresher.core.errors import Mistake

LARGEST: Final = 64 * 2**20  # bytes; 100,000 jobs take about 30 MB
_PLACE: Final = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)\Z")
_SYNTAX: Final = (  # how tomllib's messages begin, and what a person may do
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
    ("Invalid initial character for a key part", "a key is made of letters, digits, _ and -, or stands in quotes"),
)


class UnreadableFileError(Exception):
    """A file that is no table of TOML: `mistake` is for the person who wrote it."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


def table(path: Path) -> dict[str, Any]:
    """Return what the file `path` holds; raise UnreadableFileError."""
    try:
        return _parse(_bytes(path).decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        why = f"is not UTF-8 (line {line})"
    except OSError as problem:
        why = f"cannot be read: {os.strerror(problem.errno) if problem.errno else 'it is no file name'}"
    except (ValueError, RecursionError) as problem:
        why = str(problem) if isinstance(problem, _TextError) else "is TOML nested, or with numbers, beyond use"
    raise UnreadableFileError(Mistake(file=str(path), table="", key="", message=why))


class _TextError(ValueError):
    """A mistake in our own words."""


def _bytes(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe must not hold us
    except ValueError:
        raise _TextError("cannot be read: it is no file name") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _TextError(f"is {'a directory' if stat.S_ISDIR(found.st_mode) else 'not a regular file'}")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            mode = stat.S_IMODE(found.st_mode)
            raise _TextError(f"is writable by group or others (mode {mode:04o}): take that away with chmod go-w")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise _TextError(f"is larger than {LARGEST // 2**20} MB: split it with include")
    return data


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        message = str(problem)
    place = _PLACE.search(message)
    line, column = place.groups() if place else (str(text.count("\n") + 1), "")
    hint = next((f": {ours}" for theirs, ours in _SYNTAX if message.startswith(theirs)), "")
    raise _TextError(f"is not valid TOML at line {line}{f', column {column}' if column else ', its last'}{hint}")


def is_wild(pattern: str) -> bool:
    """Whether `pattern` may match no file without that being a mistake."""
    return glob.has_magic(pattern)


def included(patterns: list[str], main: Path) -> tuple[list[Path], list[str]]:
    """Return the files that `patterns` name, each once, sorted within a pattern, and the patterns that name none."""
    found: dict[Path, None] = {}
    empty: list[str] = []
    for pattern in patterns:
        names = sorted(glob.glob(pattern, root_dir=main.parent))  # noqa: PTH207  # Path.glob takes no absolute pattern
        found |= dict.fromkeys(main.parent / name for name in names)
        if not names:
            empty.append(pattern)
    return list(found), empty
