"""From what pydantic says to one line for each mistake: file, table, key, and what to do.

Rules of this module:
- Texts are ours. Pydantic's own, and its `input`, would show a value, and the value may be a secret.
- What is wrong is taken out and the rest is read, so that one mistake hides no other and is told once.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from refresher.config import words
from refresher.core.errors import Mistake

Location: TypeAlias = tuple[str | int, ...]  # as pydantic tells it: names and numbers in lists
Unit: TypeAlias = tuple[str, ...]  # the least part of a file that is left out for a mistake: ("jobs", name, key), ...
ModelT = TypeVar("ModelT", bound=BaseModel)
_SHOWN: Final = 64  # characters of a name that a line shows
_BARE: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_SHOWN}}}")
_NAMED: Final = frozenset(("jobs", "clusters", "hooks"))  # tables that hold a table for each name
_LATER_TABLES: Final = frozenset(("web",))
_TEXTS: Final = {
    "missing": "is required",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


@dataclass(slots=True)
class Findings:
    """Mistakes and warnings, as they are found."""

    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def wrong(self, file: str, table: str, key: str, message: str) -> None:
        self.mistakes.append(Mistake(file=file, table=table, key=key, message=message))

    def odd(self, file: str, table: str, key: str, message: str) -> None:
        self.warnings.append(Mistake(file=file, table=table, key=key, message=message))


@dataclass(frozen=True, slots=True)
class Reading(Generic[ModelT]):
    """What could be read of a file, and the places (`("jobs", name, key)`, ...) of what could not."""

    file: str
    model: ModelT
    bad: frozenset[Unit]


def quoted(name: str) -> str:
    """Return a table's or key's name on one line of plain characters, as TOML would write it; long ones are cut."""
    return name if _BARE.fullmatch(name) else json.dumps(name[:_SHOWN] + "..." * (len(name) > _SHOWN))


def dotted(*names: str) -> str:
    """Return the name of a table, e.g. `jobs.crm`."""
    return ".".join(quoted(name) for name in names)


def read(model: type[ModelT], raw: dict[str, Any], file: str, findings: Findings) -> Reading[ModelT]:
    """Return what `model` takes of `raw`; what it doesn't take is told to `findings` and left out."""
    try:
        return Reading(file, model.model_validate(raw), frozenset())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    bad: set[Unit] = set()
    for problem in problems:
        place, meant = _tell(model, raw, file, problem, findings)
        bad |= {_unit(place), _unit(meant)}
        _remove(raw, _unit(place))
    return Reading(file, model.model_validate(raw), frozenset(bad))


def _tell(
    model: type[BaseModel],
    raw: dict[str, Any],
    file: str,
    problem: ErrorDetails,
    findings: Findings,
) -> tuple[Location, Location]:
    """Tell one problem; return its place, and the place that the writer probably meant."""
    place: Location = problem["loc"]
    meant = place
    match problem["type"]:
        case "value_error":
            message = str(problem["ctx"]["error"])
            if place[-1] == "[key]":  # of a dict: the name itself
                place = meant = place[:-1]
                message = f"the name {message}"
        case "extra_forbidden":
            known = _known_keys(model, place)
            near = words.closest(str(place[-1]), known)
            message = _unknown(place, near, known)
            meant = (*place[:-1], near) if near else place
        case kind:
            message = _TEXTS[kind].format(**problem.get("ctx", {}))
    table, key = _where(place, raw)
    findings.wrong(file, table, key, message)
    return place, meant


def _unknown(place: Location, near: str | None, known: list[str]) -> str:
    if place[0] in _LATER_TABLES and near is None:
        return "isn't supported by this version"
    if len(known) == 1 and near is None:
        return (
            f"only the table [{known[0]}] may stand here"
            if len(place) == 1
            else f'only the key "{known[0]}" may stand here'
        )
    what = "unknown table or key" if len(place) == 1 else "unknown key"
    return f'{what}; did you mean "{near}"?' if near else what


def _unit(place: Location) -> Unit:
    return tuple(part for part in place[: 3 if place[0] in _NAMED else 2] if isinstance(part, str))


def _remove(raw: dict[str, Any], unit: Unit) -> None:
    for part in unit[:-1]:
        inner = raw.get(part)
        if not isinstance(inner, dict):
            return
        raw = inner
    raw.pop(unit[-1], None)


def _where(place: Location, raw: dict[str, Any]) -> tuple[str, str]:
    """Return table and key as a person finds them in the file."""
    first = str(place[0])
    if first in _NAMED and len(place) > 1:
        return dotted(first, str(place[1])), _key(place[2:])
    if len(place) == 1 and isinstance(raw.get(first), dict):
        return quoted(first), ""
    if first == "include" or len(place) == 1:
        return "", _key(place)
    return quoted(first), _key(place[1:])


def _key(parts: Location) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{quoted(part)}" for part in parts)
    return text.removeprefix(".")


def _known_keys(model: type[BaseModel], place: Location) -> list[str]:
    """Return the keys that the table round `place` may have."""
    inner = place[:-1]
    for step in inner[:1] + inner[2:] if place[0] in _NAMED else inner:
        if isinstance(step, str):
            model = _table_in(model.model_fields[step].annotation) or model
    return list(model.model_fields)


def _table_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _table_in(inner)) is not None), None)
