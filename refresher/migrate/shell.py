"""Cuts a shell command into simple commands; nothing is expanded and nothing is run.

Rules of this module:
- shlex knows words, quotes and operators. What the shell would put in is replaced by marks before, see marks.py.
- It need not know all of the shell: what it does not understand is left in the words, and is then no value.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from refresher.migrate.marks import Marks, NotUnderstoodError, Output, has_mark, mark

_ASSIGNMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_OPERATOR: Final = re.compile(r"[();<>|&]+")
_KEYWORDS: Final = frozenset({"if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "!", "{", "}"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_DEEPEST: Final = 20  # brackets in brackets: more is no work of a person
# Programs that run another: the options of each that take a value, and how many words come before the command.
_WRAPPERS: Final = {
    "sudo": ("-u -g -h -p -C -T", 0),
    "env": ("-u -C -S", 0),
    "nice": ("-n", 0),
    "ionice": ("-c -n -p", 0),
    "timeout": ("-s -k", 1),
    "flock": ("-w -E", 1),
    "chronic": ("", 0),
    "exec": ("", 0),
    "time": ("", 0),
    "nohup": ("", 0),
    "setsid": ("", 0),
    "systemd-cat": ("-t -p", 0),
    "export": ("", 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A simple command: its own settings, its words, the files on its standard input and output."""

    words: tuple[str, ...] = field(repr=False)
    settings: dict[str, str] = field(repr=False)
    reads: str | None = field(default=None, repr=False)
    writes: str | None = field(default=None, repr=False)
    piped: bool = False  # its standard input is the output of the command before it

    @property
    def program(self) -> str:
        """Return the program's name without its folder, `""` where there are only settings."""
        return self.words[0].rpartition("/")[2] if self.words else ""


def parse(text: str, marks: Marks) -> list[Command]:
    """Return the commands of `text`, those in `$(...)` first, and add to `marks`; raise NotUnderstoodError."""
    if has_mark(text):
        raise NotUnderstoodError("it holds characters of Unicode's private use area")
    commands: list[Command] = []
    _parse(text, marks, commands)
    return commands


def _parse(text: str, marks: Marks, commands: list[Command], depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise NotUnderstoodError("it is nested too deeply")
    known = len(marks.found)
    marked = mark(text, marks)
    for what in list(marks.found.values())[known:]:
        if isinstance(what, Output) and what.text:
            _parse(what.text, marks, commands, depth + 1)
    for command in _simple(marked):
        inner = _inner(command)
        if inner is None:
            commands.append(command)
        else:
            _parse(inner, marks, commands, depth + 1)


def _inner(command: Command) -> str | None:
    """Return the text of `sh -c TEXT`."""
    words = command.words
    if command.program in _SHELLS:
        for number, word in enumerate(words[1:-1], start=1):
            if re.fullmatch("-[a-z]*c", word):
                return words[number + 1]
    return None


def _simple(marked: str) -> Iterator[Command]:
    piped = False
    words: list[str] = []
    files: dict[str, str] = {}
    lexer = shlex.shlex(marked, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        pieces = list(lexer)
    except ValueError:
        raise NotUnderstoodError("a quote is not closed") from None
    position = 0
    while position < len(pieces):
        piece = pieces[position]
        position += 1
        if not _OPERATOR.fullmatch(piece):
            words.append(piece)
        elif piece.strip("<>&") == "" and piece.strip("&"):  # a redirection: the next word is its file
            if position < len(pieces) and not piece.endswith("&"):
                files["<" if piece.startswith("<") else ">"] = pieces[position]
            position += 1
        else:
            yield from _finished(words, files, piped=piped)
            words, files, piped = [], {}, piece == "|"
    yield from _finished(words, files, piped=piped)


def _finished(words: list[str], files: dict[str, str], *, piped: bool) -> Iterator[Command]:
    settings: dict[str, str] = {}
    rest = _unwrapped(list(words), settings)
    if rest or settings or (files and not words):  # `{ ...; } >file` has words
        yield Command(words=tuple(rest), settings=settings, reads=files.get("<"), writes=files.get(">"), piped=piped)


def _unwrapped(words: list[str], settings: dict[str, str]) -> list[str]:
    """Return the words from the program on; the settings before it go to `settings`."""
    while words:
        if words[0] in _KEYWORDS:
            words = words[1:]
        elif setting := _ASSIGNMENT.fullmatch(words[0]):
            settings[setting[1]] = setting[2]
            words = words[1:]
        elif (program := words[0].rpartition("/")[2]) in _WRAPPERS:
            words = _behind(program, words[1:])
        else:
            break
    return words


def _behind(program: str, words: list[str]) -> list[str]:
    with_value, count = _WRAPPERS[program]
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in with_value.split() else words[1:]
    if program == "flock" and words[1:2] == ["-c"]:
        return ["sh", *words[1:]]
    return words[count:]
