"""Cuts a crontab into its lines, as Vixie cron and its descendants read it (crontab(5)).

Rules of this module:
- There are no continued lines and no comments behind a command: a backslash at the end is text.
- The first `%` that no backslash precedes ends the command; what follows is its standard input, `%` a new line there.
- A text that may hold a secret is never part of a `repr`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_SETTING: Final = re.compile(r"""\s*(?:"(\w+)"|'(\w+)'|(\w+))\s*=\s*(.*?)\s*""", re.ASCII)
_FIELD: Final = r"[0-9*][0-9A-Za-z*/,~-]*|[A-Za-z]{3}[0-9A-Za-z/,-]*"
_TIME: Final = re.compile(rf"(@[a-z]+|(?:(?:{_FIELD})[ \t]+){{4}}(?:{_FIELD}))[ \t]+(.+)")
_USER: Final = re.compile(r"([a-z_][a-z0-9_.-]*\$?)[ \t]+(.+)")
_COMMAND: Final = re.compile(
    r"\S*[/=({\[$\"'].*|(?:curl|wget|vault|bao|sudo|env|cd|test|sh|bash|timeout|flock|nice|python3?|echo|rm|find)\b.*"
)
_PERCENT: Final = re.compile(r"\\%|%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line that cron runs. `schedule` as it stands there; `settings` those that stand above it."""

    number: int
    schedule: str
    command: str = field(repr=False)
    stdin: str = field(repr=False)
    settings: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """`unread`: the numbers of lines that are none of cron's."""

    entries: tuple[Entry, ...]
    unread: tuple[int, ...]


def read(text: str, *, system: bool = False) -> Crontab:
    """Return what stands in `text`. `system`: it is known to have a user's name in each line, as /etc/cron.d has."""
    settings: dict[str, str] = {}
    found: list[tuple[int, str, str, Mapping[str, str]]] = []
    unread = []
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if timed := _TIME.fullmatch(stripped):
            found.append((number, " ".join(timed[1].split()), timed[2], MappingProxyType(dict(settings))))
        elif setting := _SETTING.fullmatch(stripped):
            settings[setting[1] or setting[2] or setting[3]] = _unquoted(setting[4])
        else:
            unread.append(number)
    with_user = system or _has_users([command for _, _, command, _ in found])
    entries = (_entry(*each, with_user=with_user) for each in found)
    return Crontab(entries=tuple(entries), unread=tuple(unread))


def _entry(number: int, schedule: str, rest: str, settings: Mapping[str, str], *, with_user: bool) -> Entry:
    named = _USER.fullmatch(rest) if with_user else None
    command, stdin = _cut(named[2] if named else rest)
    return Entry(number=number, schedule=schedule, command=command, stdin=stdin, settings=settings)


def _has_users(commands: list[str]) -> bool:
    """Whether each line has a word before its command that looks like a user's name, and no command does."""
    named = [_USER.fullmatch(command) for command in commands]
    return bool(named) and all(
        match is not None and _COMMAND.fullmatch(match[2]) is not None and _COMMAND.fullmatch(match[1]) is None
        for match in named
    )


def _cut(rest: str) -> tuple[str, str]:
    """Return the command, and what cron gives it on standard input."""
    text = _PERCENT.sub(lambda match: "%" if match[0] == "\\%" else "\n", rest)
    command, _, stdin = text.partition("\n")
    return command, stdin


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
