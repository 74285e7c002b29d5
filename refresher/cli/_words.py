"""Words for people: spans, moments and outcomes, short enough for one line."""

from datetime import UTC, datetime, timedelta

from refresher.core.outcome import Outcome

_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


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


def moment(when: datetime | None) -> str:
    """Return `2026-11-21 10:00:00Z`."""
    return "-" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def outcome_line(ended: Outcome) -> str:
    """Return one line for an outcome of `once`."""
    places = ", ".join(f"{place} v{version}" if version else str(place) for place, version in ended.destinations)
    line = f"{ended.job}: {ended.outcome.replace('_', ' ')}"
    if not ended.well:
        status = f", HTTP {ended.http_status}" if ended.http_status else ""
        return f"{line} ({ended.error}{status}); next try {moment(ended.renew_at)}"
    return f"{line} ({ended.reason}), {places}, expires {moment(ended.expires_at)}, next {moment(ended.renew_at)}"
