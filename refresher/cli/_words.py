"""Words for people: spans, moments and outcomes, short enough for one line."""

from datetime import UTC, datetime

from refresher.core.model import Location
from refresher.core.outcome import Outcome
from refresher.core.spans import span

__all__ = ["moment", "outcome_line", "span"]


def moment(when: datetime | None) -> str:
    """Return `2026-11-21 10:00:00Z`."""
    return "-" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def outcome_line(ended: Outcome) -> str:
    """Return one line for an outcome of `once`."""
    places = ", ".join(_place(ended, place, version) for place, version in ended.destinations)
    line = f"{ended.job}: {ended.outcome.replace('_', ' ')}"
    if not ended.well and not ended.behind:
        status = f", HTTP {ended.http_status}" if ended.http_status else ""
        return f"{line} ({ended.error}{status}); next try {moment(ended.renew_at)}"
    return f"{line} ({ended.reason}), {places}, expires {moment(ended.expires_at)}, next {moment(ended.renew_at)}"


def _place(ended: Outcome, place: Location, version: int | None) -> str:
    if place in ended.behind:
        return f"{place} lacks it ({ended.behind[place]})"
    return f"{place} v{version}" if version else str(place)
