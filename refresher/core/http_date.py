"""Moments as HTTP writes them (RFC 9110 section 5.6.7), and what a reply's Date says of two clocks."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

_LONGEST: Final = 64  # characters; the longest form has 33
_WHOLE: Final = timedelta(seconds=1)  # a Date is rounded down


@lru_cache(maxsize=64)  # what is sent within a second bears the same
def moment(text: str) -> datetime | None:
    """Read an HTTP-date; one without a zone is in UTC (asctime's form). None: it is no date."""
    try:
        read = parsedate_to_datetime(text[:_LONGEST])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def ahead(*, sent: datetime, stated: datetime, received: datetime) -> timedelta:
    """Return by how much our clock is ahead of the one that `stated` a Date between `sent` and `received`.

    Negative: behind; zero where both clocks may show the same.
    """
    late = sent - stated - _WHOLE
    return late if late > timedelta() else min(received - stated, timedelta())
