"""The one answer of the page: whether everything is fine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from refresher.core.perishable import Perishable, limited
from refresher.core.view import FleetView, JobView
from refresher.web import words

GLYPHS: Final = {"good": "●", "busy": "◆", "bad": "▲"}  # a state is told by shape and word, not by colour alone
Logins: TypeAlias = Mapping[str, Perishable]  # what refresher logs in to Vault with, by the name of the cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The one answer, and what stands behind it."""

    tone: str
    glyph: str
    answer: str
    details: str
    logins: tuple[str, ...] = ()


def headline(views: list[JobView], now: datetime, logins: Logins, fleet: FleetView | None = None) -> Headline:
    """Return the answer to "is everything fine?", and which logins to Vault somebody has to see to."""
    told, said = tuple(words.login(name, one) for name, one in limited(logins, now)), _headline(views, now)
    if fleet is not None:
        said = replace(said, details=f"{said.details}, {fleet.words}")
        if said.tone != "bad" and (fleet.gone or fleet.away):
            said = replace(said, tone="busy", answer="PostgreSQL is away" if fleet.away else "A node is gone")
    tone = "busy" if told and said.tone == "good" else said.tone
    return replace(said, logins=told, tone=tone, glyph=GLYPHS[tone])


def _headline(views: list[JobView], now: datetime) -> Headline:
    needing = [one for one in views if one.need(now)]
    dead = sum(one.need(now) == "dead" for one in needing)
    counts = {state: sum(one.state == state for one in views) for state in ("retrying", "due", "unknown", "paused")}
    others = [f"{count} {state}" for state, count in counts.items() if count]
    jobs = f"{len(views)} job{'s' if len(views) != 1 else ''}"
    if needing:
        verb = "needs" if len(needing) == 1 else "need"
        first = [f"of {jobs}", f"readers of {dead} find nothing alive" if dead else "all readers are served still"]
        return Headline(
            tone="bad", glyph=GLYPHS["bad"], answer=f"{len(needing)} {verb} you", details=", ".join([*first, *others])
        )
    if others and set(others) != {f"{counts['due']} due"}:
        return Headline(
            tone="busy", glyph=GLYPHS["busy"], answer="Nothing needs you", details=", ".join([jobs, *others])
        )
    return Headline(tone="good", glyph=GLYPHS["good"], answer="All fresh", details=", ".join([jobs, *others]))
