"""When a token is to be renewed (decision 4 of the design, docs/explanation/renewal.md).

    issued            due                    promised        expires
      |----------------|----------|-----------|----------------|
                         spread      slack       promised life

Holds for every lifetime of 6 s and more: due never lies before half of the lifetime, and always before expiry.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from refresher.core.job import Margin

SHORTEST: Final = timedelta(seconds=6)  # below it no promise is made
# What a rotation may take: a false refusal of 12 min, 1 min to the next try, 1 min for that (docs/adr/0008).
SLACK: Final = timedelta(minutes=4)
USUAL: Final = timedelta(minutes=10)  # `renew_before`, or 5 % of the lifetime where that is more
FLOOR: Final = timedelta(seconds=30)  # between two fetches that succeeded
TOO_SHORT_PAUSE: Final = timedelta(seconds=2)  # between fetches of tokens shorter than SHORTEST, or unchanged ones
STRANGER_LEAD: Final = timedelta(seconds=30)  # a token of unknown lifetime, put there by somebody else
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
UNCHANGED_LEAD: Final = timedelta(seconds=5)  # a server that repeats its token is asked from here on


def derived(*parts: object) -> float:
    """Return a number in [0, 1) that depends on `parts` alone: jitter that a restart does not change."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def renew_before(lifetime: timedelta, margin: Margin | None) -> timedelta:
    """Return the life that the job asks to be left at every read: its own margin, or 10 min or 5 %, the larger."""
    if margin is not None and margin.duration is not None:
        return margin.duration
    if margin is not None and margin.share is not None:
        return lifetime * margin.share
    return max(USUAL, lifetime / 20)


def promised(lifetime: timedelta, margin: Margin | None) -> timedelta:
    """Return the life that a reader may count on: `renew_before`, at most a quarter of the lifetime."""
    return min(renew_before(lifetime, margin), lifetime / 4)


def lead(lifetime: timedelta, margin: Margin | None, *, part: float) -> timedelta:
    """Return how long before expiry the token is due; `part` in [0, 1) is the job's derived share of the spread."""
    least, spread = _bounds(lifetime, margin)
    return least + spread * part


@lru_cache(maxsize=1024)  # of a hundred thousand tokens most live equally long
def _bounds(lifetime: timedelta, margin: Margin | None) -> tuple[timedelta, timedelta]:
    """Return the least lead, and what is spread over the jobs besides."""
    promise = promised(lifetime, margin)
    return promise + min(SLACK, lifetime / 12), min(promise, lifetime / 10)


def floor(lifetime: timedelta | None) -> timedelta:
    """Return the least time between two fetches that succeeded."""
    if lifetime is None:
        return FLOOR
    if lifetime < SHORTEST:
        return TOO_SHORT_PAUSE
    return min(FLOOR, lifetime / 3)
