"""`schedule` and `timezone`: five fields that every cron reads alike, in a time zone that this machine knows.

Rules of this module:
- The calendar itself is the scheduler's. A parser of forty lines here keeps `check` from importing it, and refuses
  what it would take and read otherwise than cron does.
- Days of the week leave here as names: cron counts from Sunday, the scheduler from Monday.
"""

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from refresher.config.words import BadValueError, text

_ITEM: Final = re.compile(r"(?:(?P<any>\*)|(?P<first>[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?)(?:/(?P<step>[0-9]{1,2}))?")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # a leap year's: 29 February comes round


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()  # names of the values, from `least` on

    def values(self, expression: str) -> list[int]:
        """Return the values that `expression` stands for; raise BadValueError."""
        return sorted({value for item in expression.split(",") for value in self._item(item)})

    def _item(self, item: str) -> range:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise BadValueError(f"the {self.name} must be *, a number, a range or a list of these, e.g. 1-5 or */15")
        first = self.least if match["any"] else self._number(match["first"])
        last = first if match["last"] is None else self._number(match["last"])
        if match["any"] or (match["last"] == "sun" and first):  # sat-sun: Sunday ends a week, too
            last = self.most
        step = int(match["step"] or 1)
        if match["step"] and not 0 < step <= last - first:
            raise BadValueError(f"the {self.name} has a step that doesn't fit: it follows * or a range, e.g. */15")
        if first > last:
            raise BadValueError(f"the {self.name} has a range that runs backwards")
        return range(first, last + 1, step)

    def _number(self, word: str) -> int:
        number = self.least + self.words.index(word) if word in self.words else -1
        if word.isdecimal():
            number = int(word)
        if not self.least <= number <= self.most:
            named = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
            raise BadValueError(f"the {self.name} must lie between {self.least} and {self.most}{named}")
        return number


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),  # 0 and 7 are Sunday
)


def schedule(value: object) -> str:
    """Return a cron expression of five fields, with names for the days of the week."""
    fields = text(value).lower().split()
    if len(fields) != len(_FIELDS):
        raise BadValueError('must have five fields: minute, hour, day, month, day of the week, e.g. "0 3 * * *"')
    _, _, days, months, weekdays = (field.values(part) for field, part in zip(_FIELDS, fields, strict=True))
    if fields[2] != "*" and fields[4] != "*":
        raise BadValueError(
            "names a day of the month and one of the week, which crons read differently: leave one at *"
        )
    if all(days[0] > _LENGTHS[month - 1] for month in months):
        raise BadValueError("names a day that its months do not have")
    if fields[4] != "*":
        fields[4] = ",".join(dict.fromkeys(_DAYS[day % len(_DAYS)] for day in weekdays))
    return " ".join(fields)


def timezone(value: object) -> str:
    """Return the name of a time zone in the tz database, as this machine has it."""
    name = text(value)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValueError('must be a time zone that this machine knows, e.g. "Europe/Lisbon" or "UTC"') from None
    return name
