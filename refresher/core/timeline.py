"""The lives of a job's tokens, and the gaps in which readers found nothing alive, from the attempts on record.

Rules of this module:
- A gap is what the record shows: from the end of one token to the writing of the next, or to now.
- Before the first token on record nothing is known, and nothing is said. What somebody deleted, or wrote by hand, is
  not on record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


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
    """Return what there is to draw. `attempts` in the order of their ends; some from before `since` tell what lived then.

    `held` is what stands there now, as Vault has it: it counts where it is none of the tokens on record.
    """
    lives: list[Span] = []
    gaps: list[Span] = []
    failed: list[datetime] = []
    begun, until = False, None  # whether something is known, and to when readers are served; None: without end

    def live(span: Span, found_at: datetime) -> None:
        nonlocal begun, until
        if begun and until is not None and until < found_at:
            gaps.append(Span(begin=until, end=found_at))
        lives.append(span)
        begun, until = True, span.end

    for attempt in attempts:
        if attempt.written:
            live(Span(begin=min(attempt.began, attempt.at), end=attempt.expires_at), attempt.at)
        elif since <= attempt.at <= now:
            failed.append(attempt.at)
    if held is not None and _is_new(held, lives):
        live(held, held.begin)
    if begun and until is not None and until < now:
        gaps.append(Span(begin=until, end=now))
    return Timeline(
        since=since,
        now=now,
        lives=tuple(life for life in lives if life.end is None or life.end > since),
        gaps=tuple(cut for gap in gaps if (cut := _within(gap, since, now)) is not None),
        failed=tuple(failed),
    )


def _is_new(held: Span, lives: list[Span]) -> bool:
    """Whether `held` was written after the last token on record, whose issue is a little before its begin there."""
    if not lives:
        return True
    last = lives[-1]
    return held.begin > last.begin + timedelta(seconds=1) and held.end != last.end


def _within(span: Span, since: datetime, now: datetime) -> Span | None:
    begin, end = max(span.begin, since), min(span.end or now, now)
    return Span(begin=begin, end=end) if begin < end else None
