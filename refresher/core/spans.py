"""Spans in words for people, short enough for a table."""

from datetime import timedelta
from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def span(length: timedelta | None) -> str:
    """Return two units at most: `6d 4h`, `52m 10s`, `9s`; `-` for None; a past one with a minus."""
    if length is None:
        return "-"
    seconds, sign = round(abs(length.total_seconds())), "-" if length < timedelta() else ""
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return sign + " ".join(parts[:2])
