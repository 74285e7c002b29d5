"""The lives of a job's tokens, and the gaps in which readers found nothing alive, from the attempts on record.

Rules of this module:
- A gap is what the record shows: from the end of one token to the writing of the next, or to now.
- Before the first token on record nothing is known, and nothing is said. What somebody deleted, or wrote by hand, is
  not on record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt: when it began and ended; `written` whether a token was written, and when that one expires."""

    began: datetime
    at: datetime
    written: bool
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`end` None: it has none that is known."""

    begin: datetime
    end: datetime | None

    def length(self) -> timedelta:
        """Return how long it is, no time where it has no end."""
        return timedelta() if self.end is None else self.end - self.begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """From `since` to `now`: each token from its issue to its expiry, the gaps, and when attempts failed."""

    since: datetime
    now: datetime
    lives: tuple[Span, ...]
    gaps: tuple[Span, ...]
    failed: tuple[datetime, ...]

    def dead_for(self) -> timedelta:
        """Return for how long in all readers found nothing alive."""
        return sum((gap.length() for gap in self.gaps), timedelta())


def timeline(attempts: Iterable[Attempt], *, held: Span | None, since: datetime, now: datetime) -> Timeline:
    """Return what there is to draw. `attempts` in the order of their ends; older ones tell what lived at `since`.

    `held` is what stands there now, as Vault has it: it counts where it is none of the tokens on record.
    """
    tried = tuple(attempts)
    found = [(Span(begin=min(one.began, one.at), end=one.expires_at), one.at) for one in tried if one.written]
    if held is not None and (not found or _is_newer(held, found[-1][0])):
        found.append((held, held.begin))
    ends = [(span.end, after) for (span, _), (_, after) in pairwise(found)]
    if found:
        ends.append((found[-1][0].end, now))
    gaps = (_within(end, after, since, now) for end, after in ends if end is not None)
    return Timeline(
        since=since,
        now=now,
        lives=tuple(span for span, _ in found if span.end is None or span.end > since),
        gaps=tuple(gap for gap in gaps if gap is not None),
        failed=tuple(one.at for one in tried if not one.written and since <= one.at <= now),
    )


def _is_newer(held: Span, last: Span) -> bool:
    """Whether `held` was written after the last token on record, whose issue the record has to a second or so."""
    return held.begin > last.begin + timedelta(seconds=1) and held.end != last.end


def _within(end: datetime, after: datetime, since: datetime, now: datetime) -> Span | None:
    """Return the gap between the `end` of one token and the moment `after` which the next was there."""
    begin, last = max(end, since), min(after, now)
    return Span(begin=begin, end=last) if begin < last else None
