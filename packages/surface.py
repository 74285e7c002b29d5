"""The command line as data: what the man pages and the shells' completions are made of."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from refresher.cli import VERBS
from refresher.cli._call import command_of


@dataclass(frozen=True, slots=True)
class Word:
    """An option or an argument. `names` is empty for an argument, `metavar` for a flag.

    `choices`: the words that it takes, where they are few; `is_file`: it names one.
    """

    names: tuple[str, ...]
    metavar: str
    about: str
    choices: tuple[str, ...]
    is_file: bool


@dataclass(frozen=True, slots=True)
class Verb:
    """What `refresher NAME` does and takes."""

    name: str
    about: str
    options: tuple[Word, ...]
    arguments: tuple[Word, ...]


HELP = Word(names=("-h", "--help"), metavar="", about="Show what it takes.", choices=(), is_file=False)


def verbs() -> tuple[Verb, ...]:
    """Return every verb, in the order of `refresher --help`."""
    return tuple(_verb(name, about) for name, about in VERBS.items())


def _verb(name: str, about: str) -> Verb:
    options: list[Word] = []
    arguments: list[Word] = []
    for parameter in command_of(name).params:
        (options if parameter.opts[0].startswith("-") else arguments).append(_word(parameter))
    return Verb(name=name, about=about, options=(*options, HELP), arguments=tuple(arguments))


def _word(parameter: Any) -> Word:  # noqa: ANN401  # typer does not name its class
    kind = parameter.type_descriptor.annotation
    is_class = isinstance(kind, type)
    option = parameter.opts[0].startswith("-")
    metavar = "" if option and parameter.is_flag else parameter.metavar or f"[{parameter.name.upper()}]"
    return Word(
        names=tuple(sorted(parameter.opts, key=len)) if option else (),
        metavar=metavar,
        about=parameter.help,
        choices=tuple(one.value for one in kind) if is_class and issubclass(kind, Enum) else (),
        is_file=is_class and issubclass(kind, Path),
    )
