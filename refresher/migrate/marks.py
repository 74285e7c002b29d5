"""Replaces what the shell would put in (`$NAME`, `$(...)`) by marks, so that the quotes and blanks in it don't count.

A mark is one character of Unicode's private use area. In single quotes and behind a backslash nothing is replaced.
"""

import re
from dataclasses import dataclass, field
from typing import Final

FIRST_MARK: Final = 0xE000
LAST_MARK: Final = 0xF8FF
_NAME: Final = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_SPECIAL: Final = frozenset("0123456789$?#@*!-")  # `$1`, `$?`, ...: nothing that a crontab tells
_DESCRIPTOR: Final = re.compile(r"[0-9]+(?=[<>])")


class NotUnderstoodError(ValueError):
    """The command can not be cut; the text says why and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`$NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """`$(...)`; with an empty text something that can not be told, such as `${NAME:-x}`."""

    text: str = field(repr=False)


@dataclass(slots=True)
class Marks:
    """What each mark stands for."""

    found: dict[str, Variable | Output] = field(default_factory=dict)

    def add(self, what: Variable | Output) -> str:
        """Return a character that stands for `what`."""
        code = FIRST_MARK + len(self.found)
        if code > LAST_MARK:
            raise NotUnderstoodError("it is too long")
        self.found[chr(code)] = what
        return chr(code)


def has_mark(text: str) -> bool:
    """Whether the shell would put something into `text`."""
    return any(FIRST_MARK <= ord(character) <= LAST_MARK for character in text)


def mark(text: str, marks: Marks) -> str:
    """Return `text` with a mark for each `$NAME`, `${NAME}`, `$(...)` and backquote that the shell would see."""
    out: list[str] = []
    quote, position = "", 0
    while position < len(text):
        character = text[position]
        step = 1
        if quote == "'":
            quote = "" if character == "'" else quote
            out.append(character)
        elif character == "\\":
            step = 2
            out.append(text[position : position + 2])
        elif character in "$`":
            step, piece = _expansion(text, position, marks)
            out.append(piece)
        elif character in "\"'":
            quote = _turned(quote, character)
            out.append(character)
        elif not quote and character == "#" and _starts_a_word(text, position):
            break
        elif not quote and (match := _DESCRIPTOR.match(text, position)) and _starts_a_word(text, position):
            step = len(match[0])
        else:
            out.append(character)
        position += step
    return "".join(out)


def _turned(quote: str, character: str) -> str:
    if not quote:
        return character
    return "" if quote == character else quote


def _starts_a_word(text: str, position: int) -> bool:
    return position == 0 or text[position - 1] in " \t;&|()"


def _expansion(text: str, start: int, marks: Marks) -> tuple[int, str]:
    """Return how long the expansion at `start` is, and the mark for it."""
    if match := _NAME.match(text, start):
        return len(match[0]), marks.add(Variable(match[1] or match[2]))
    if text[start] == "`":
        end = text.find("`", start + 1)
        if end < 0:
            raise NotUnderstoodError("a backquote is not closed")
        return end + 1 - start, marks.add(Output(text[start + 1 : end]))
    opening = text[start + 1 : start + 2]
    if opening in _SPECIAL:
        return 2, marks.add(Output(""))
    if opening not in ("(", "{"):
        return 1, "$"
    end = _closing(text, start + 1, opening)
    inner = text[start + 2 : end] if opening == "(" and text[start + 2 : start + 3] != "(" else ""
    return end + 1 - start, marks.add(Output(inner))


def _closing(text: str, start: int, opening: str) -> int:
    """Return where the bracket at `start` is closed, quotes and brackets in it apart."""
    closing = ")" if opening == "(" else "}"
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if character == "\\" and quote != "'":
            position += 1
        elif character in "\"'":
            quote = _turned(quote, character)
        elif quote:
            pass
        elif character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise NotUnderstoodError("a bracket is not closed")
