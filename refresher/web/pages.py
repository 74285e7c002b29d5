"""The pages as HTML, from templates that escape everything.

Rules of this module:
- It is called in a thread: it takes time with many jobs, and reads the ledger.
- What it is given is frozen, so that nothing of it changes meanwhile.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import refresher
from refresher.core import fields
from refresher.core.job import Job
from refresher.core.perishable import is_soon
from refresher.core.settings import Cluster
from refresher.core.spans import span
from refresher.core.timeline import Timeline
from refresher.core.view import FleetView, JobView, worst_first
from refresher.state import ledger
from refresher.state.tables import Attempt
from refresher.web import drawing, words
from refresher.web.headline import GLYPHS, Logins, headline
from refresher.web.overview import Others, timelines
from refresher.web.snippets import snippets

FOLDER: Final = Path(__file__).parent
SHOWN: Final = 100  # attempts on a job's own page
HISTORY: Final = timedelta(days=7)
SPLIT: Final = Markup("<!-- the rows -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job as a page shows it."""

    view: JobView
    drawing: drawing.Drawing
    tone: str
    glyph: str
    state: str
    left: str
    next: str
    why: str
    expires: int | None
    due: int | None


class Pages:
    """Renders. `file` is the ledger's, `instance` the name of this refresher."""

    def __init__(self, *, file: Path, instance: str) -> None:
        self._file = file
        environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals |= {"instance": instance, "version": refresher.__version__}
        environment.filters |= {"clock": _clock, "moment": _moment, "span": span, "anchor": anchor, "is_soon": is_soon}
        self._parts = environment.get_template("parts.html")
        self._index = environment.get_template("index.html")
        self._job = environment.get_template("job.html")
        self._error = environment.get_template("error.html")

    def index(  # noqa: PLR0913  # what a page shows
        self,
        views: list[JobView],
        *,
        now: datetime,
        query: str,
        revision: str,
        logins: Logins,
        fleet: FleetView | None = None,
    ) -> tuple[str, list[JobView], str]:
        """Return the page of all jobs: what stands before the rows, whose rows they are, and what stands after.

        They are those that have `query` in their name, or it is their provider or state; the worst first.
        """
        wanted = query.strip().lower()
        shown = [one for one in views if wanted in one.name.lower() or wanted in (one.provider, one.state)]
        page = self._index.render(
            found=len(shown),
            total=len(views),
            query=query,
            headline=headline(views, now, logins, fleet),
            now=now,
            revision=revision,
            axis=tuple(drawing.hours(now)),
            split=SPLIT,
        )
        before, _, after = page.partition(str(SPLIT))
        return before, worst_first(shown, now), after

    def rows(
        self, views: list[JobView], now: datetime, reasons: Mapping[str, str], others: Others | None = None
    ) -> str:
        """Return the rows of some jobs. `others`: what all nodes of a fleet did."""
        item = self._parts.module.item  # type: ignore[attr-defined]  # a macro of the template
        return "\n".join(str(item(row)) for row in self._rows(views, now, reasons, others))

    def job(  # noqa: PLR0913  # what a page shows
        self,
        view: JobView,
        job: Job,
        cluster: Cluster,
        *,
        now: datetime,
        revision: str,
        why: str,
        others: Others | None = None,
    ) -> str:
        """Return the page of one job. Its own `why` is what the log said last."""
        (row,) = self._rows([view], now, {view.name: why}, others)
        line = timelines(self._file, [view], now, None if others is None else others.tried)[view.name]
        place, version = job.destinations[0], view.places[0][1] if view.places else None
        names = job.fields_at(place)
        field = fields.shown(names)
        version_1 = version is None and view.alive is True
        read = snippets(cluster, place, version_1=version_1, promised=view.promised, field=field)
        return self._job.render(
            row=row,
            view=view,
            job=job,
            line=line,
            now=now,
            revision=revision,
            advice=words.advice(view, now),
            attempts=self._attempts(view.name, now, None if others is None else others.history),
            snippets=read,
            beside=[(str(one.place), words.beside(one, now)) for one in view.beside],
            axis=tuple(drawing.hours(now)),
        )

    def updates(  # noqa: PLR0913  # what a page shows
        self,
        views: list[JobView],
        changed: Iterable[str],
        now: datetime,
        reasons: Mapping[str, str],
        *,
        logins: Logins,
        others: Others | None = None,
    ) -> dict[str, object]:
        """Return what a page that is open is sent: the headline, the order of the jobs, and the rows that changed."""
        names = set(changed)
        rows = self._rows([one for one in views if one.name in names], now, reasons, others)
        module = self._parts.module
        said = headline(views, now, logins, None if others is None else others.view)
        return {
            "tone": said.tone,
            "headline": str(module.answer(said, now)),  # type: ignore[attr-defined]  # as above
            "order": [anchor(one.name) for one in worst_first(views, now)],
            "rows": {anchor(row.view.name): str(module.item(row)) for row in rows},  # type: ignore[attr-defined]  # as above
        }

    def error(self, status: int, title: str, text: str) -> str:
        """Return the page that says what went wrong."""
        return self._error.render(status=status, title=title, text=text)

    def _rows(
        self, views: list[JobView], now: datetime, reasons: Mapping[str, str], others: Others | None
    ) -> list[Row]:
        lines = timelines(self._file, views, now, None if others is None else others.tried)
        return [_row(view, lines[view.name], now, reasons.get(view.name, "")) for view in views]

    def _attempts(self, name: str, now: datetime, known: Iterable[Attempt] | None) -> list[dict[str, object]]:
        try:
            if known is None:
                known = ledger.history(self._file, job=name, since=now - HISTORY)
            found = deque(known, SHOWN)
        except ledger.FAILURES:
            return []
        moments = {"at", "expires_at"}
        return [
            {
                key: datetime.fromtimestamp(value, UTC) if key in moments and value is not None else value
                for key, value in asdict(attempt).items()
            }
            for attempt in reversed(found)
        ]


def anchor(name: str) -> str:
    """Return the id of a job's element: a name has slashes and points."""
    return f"job-{name}"


def _row(view: JobView, line: Timeline, now: datetime, why: str) -> Row:
    tone = "good" if view.state in ("fresh", "due", "paused") else "busy"
    if view.need(now):
        tone = "bad"
    state = f"{view.state} ({view.failures})" if view.state == "retrying" else view.state
    return Row(
        view=view,
        drawing=drawing.draw(line, due=view.renew_at),
        tone=tone,
        glyph=GLYPHS[tone],
        state=state,
        left=words.left(view, now),
        next=words.coming(view, now),
        why=words.why(view, why) or words.ending(view, now),
        expires=None if view.expires_at is None else int(view.expires_at.timestamp()),
        due=None if view.renew_at is None else int(view.renew_at.timestamp()),
    )


def _clock(when: datetime | None) -> str:
    return "-" if when is None else f"{when:%H:%M:%S}"


def _moment(when: datetime | None) -> str:
    return "-" if when is None else f"{when:%Y-%m-%d %H:%M:%S}"
