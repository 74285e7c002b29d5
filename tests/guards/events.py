"""docs/reference/events.md, read back: what is promised of each event."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from refresher.core.events import Event

PAGE = Path(__file__).parents[2] / "docs/reference/events.md"
WORD = re.compile(r"`([a-z_]+)`")


@dataclass(frozen=True)
class Promise:
    levels: frozenset[str]
    fields: frozenset[str]


@cache
def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(section: str) -> list[list[str]]:
    """Return the cells of a section's table, without its head."""
    lines = [line for line in sections()[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def events(section: str = "Events") -> dict[str, Promise]:
    walk = re.search(r"\*a walk's\* stands for(.*?)each", sections()["Events"], flags=re.DOTALL)
    found = {}
    for name, levels, _, fields in rows(section):
        words = set(WORD.findall(fields)) | (set(WORD.findall(walk[1])) if "a walk's" in fields else set())
        found[name.strip("`")] = Promise(frozenset(levels.split(", ")), frozenset(words))
    return found


def fields() -> set[str]:
    return {row[0].strip("`") for row in rows("Fields")}


@contextmanager
def watched() -> Iterator[set[str]]:
    """Collect what an event made by refresher's own code says and the page does not promise."""
    broken: set[str] = set()
    make = Event.__init__

    def made(event: Event, **said) -> None:
        make(event, **said)
        maker = sys._getframe(1).f_globals["__name__"]
        promise = events().get(event.name)
        if maker.startswith("refresher.") and promise is not None:
            undocumented = set(event.fields) - promise.fields | {event.level} - promise.levels
            broken.update(f"{maker}: {event.name}: {word}" for word in undocumented)

    with mock.patch.object(Event, "__init__", made):
        yield broken
