"""When a job is renewed besides its token's expiry, and what its readers are promised."""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from refresher.config import words
from refresher.config.draft import Draft
from refresher.core import due
from refresher.core.job import NO_TIMES, Times

_KEYS: Final = frozenset(("schedule", "timezone", "max_age", "refresh_every"))


def times(draft: Draft, lifetime: timedelta | None, *, refreshes: bool, usual: timedelta | None = None) -> Times:
    """Return the job's times; `refreshes`: it has a refresh token, which the provider wants used every `usual`."""
    stated = draft.stating(_KEYS)
    if not stated and (usual is None or not refreshes):
        return NO_TIMES
    if draft.own.keys() >= {"schedule", "refresh_every"}:
        draft.wrong("refresh_every", "stands beside schedule: write the one that comes round more often")
    if "timezone" in draft.own and "schedule" not in stated and not draft.unsure("schedule"):
        draft.wrong("timezone", "is not used without schedule: take it out")
    if "refresh_every" in draft.own and not refreshes:
        draft.wrong("refresh_every", "keeps a refresh token alive, and this job has none: did you mean max_age?")
    max_age = draft.get("max_age")
    if "max_age" in draft.own and lifetime is not None and max_age >= lifetime:
        draft.odd("max_age", f"changes nothing: the token lives no longer than {words.spell(lifetime)} anyway")
    return _shared(
        Times(
            schedule=draft.stated("schedule", ""),
            timezone=draft.stated("timezone", "UTC") if "schedule" in stated else "UTC",
            max_age=max_age,
            refresh_every=draft.stated("refresh_every", usual) if refreshes else None,
        )
    )


@lru_cache(maxsize=1024)
def _shared(value: Times) -> Times:
    return NO_TIMES if value == NO_TIMES else value


def promise(draft: Draft, lifetime: timedelta | None) -> None:
    """Warn where readers are promised less than renew_before asks for, or less than they need to read again."""
    margin = draft.get("renew_before")
    _lag(draft, lifetime)
    if lifetime is None:
        return
    if lifetime < due.SHORTEST:
        draft.odd("lifetime", f"is shorter than {words.spell(due.SHORTEST)}: nothing is promised to readers")
    elif margin is not None and due.promised(lifetime, margin) < due.renew_before(lifetime, margin):
        promised = words.spell(due.promised(lifetime, margin))
        draft.odd("renew_before", f"readers are promised {promised} and no more, a quarter of the token's lifetime")


def _lag(draft: Draft, lifetime: timedelta | None) -> None:
    """Warn where readers may hold a dead token between one reading and the next, as far as the file tells."""
    lag, margin = draft.get("reader_lag"), draft.get("renew_before")
    if lag is None:
        return
    # without a lifetime nobody knows what is promised, but it is never more than renew_before
    asked = margin.duration if margin is not None else None
    promised = asked if lifetime is None else due.promised(lifetime, margin)
    if promised is not None and promised < lag:
        remedy = "have them read more often" if lifetime is not None and lifetime / 4 < lag else "raise renew_before"
        gap = f"is longer than the {words.spell(promised)} of life that they are promised"
        draft.odd("reader_lag", f"{gap}: between two readings readers may hold a dead token; {remedy}")
