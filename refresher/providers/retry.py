"""How long a server asks us to stay away: Retry-After (RFC 9110 section 10.2.3) and the rate-limit headers.

What can't be read counts as not said; what says zero or the past says nothing.
"""

import math
import re
from datetime import datetime
from typing import Final

from refresher.core.http_date import moment
from refresher.core.model import HttpResponse

LONGEST: Final = 3600  # seconds; MSAL.NET obeys no longer wait either
EPOCH_FROM: Final = 1_000_000_000  # a rate-limit reset from here on is a moment, below it a span
# In use; the last is that of draft-ietf-httpapi-ratelimit-headers (to its version 07).
RESETS: Final = ("x-rate-limit-reset", "x-ratelimit-reset", "ratelimit-reset")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def asked_wait(response: HttpResponse, now: datetime) -> int | None:
    """Return the seconds (1 to 3600) that Retry-After asks for, the largest of several, or None."""
    return _largest([_seconds(value) or _until(value, now) for value in response.header("retry-after")])


def wait(response: HttpResponse, now: datetime) -> int | None:
    """Return the seconds (1 to 3600) that the reply's headers ask for, or None: Retry-After, else a limit's reset."""
    resets = [value for name in RESETS for value in response.header(name)]
    return asked_wait(response, now) or _largest([_reset(value, now) for value in resets])


def _largest(waits: list[float | None]) -> int | None:
    longest = max((seconds for seconds in waits if seconds is not None), default=0)
    return math.ceil(min(longest, LONGEST)) if longest > 0 else None


def _seconds(value: str) -> float | None:
    number = value.strip()
    return float(number) if _NUMBER.fullmatch(number) else None


def _reset(value: str, now: datetime) -> float | None:
    number = _seconds(value)
    return number - now.timestamp() if number is not None and number >= EPOCH_FROM else number


def _until(value: str, now: datetime) -> float | None:
    """Return the seconds from `now` to an HTTP-date."""
    stated = moment(value)
    return None if stated is None else (stated - now).total_seconds()
