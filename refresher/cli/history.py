"""`refresher history`: every attempt that the ledger has, oldest first."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.config import words
from refresher.core.errors import RefresherError
from refresher.core.published import stamp
from refresher.core.settings import Postgres, Settings
from refresher.host import paths
from refresher.host.clock import SystemClock
from refresher.state import ledger
from refresher.state.tables import Attempt, path_of

JobArgument = Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only this job; one that is gone counts too.")]
SinceOption = Annotated[str | None, typer.Option("--since", metavar="SPAN", help="Only what is newer: 24h, 7d.")]
MOMENTS: Final = ("at", "expires_at")


def history(
    job: JobArgument = None,
    config: ConfigOption = None,
    since: SinceOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config))
    set_up(settings, quiet=True)
    start = None if since is None else SystemClock().now() - _span(since)
    if job is not None and job != job.encode(errors="replace").decode():
        raise typer.BadParameter("JOB is not UTF-8, as the names of jobs are")
    for line in _lines(settings, job, start, _as_json if as_json else _line):
        print(line)
    return 0


def _lines(
    settings: Settings, job: str | None, start: datetime | None, shown: Callable[[Attempt], str]
) -> Iterator[str]:
    """Yield a line for each attempt. What its reader raises (a broken pipe, a full disk) is no fault of the ledger."""
    path = path_of(paths.state_dir(settings.state_dir), settings.instance)
    try:
        known = ledger.history(path, job=job, since=start)
        for attempt in known if settings.postgres is None else _of_the_fleet(settings.postgres, job, start):
            yield shown(attempt)
    except ledger.FAILURES as error:
        raise RefresherError(f"{path}: the ledger can't be read ({type(error).__name__})") from None


def _of_the_fleet(settings: Postgres, job: str | None, since: datetime | None) -> list[Attempt]:
    """Return what all nodes have told each other. Raises FleetError."""
    from refresher.host.credentials import LocalReferences  # noqa: PLC0415  # where there is a fleet
    from refresher.scheduler import administration  # noqa: PLC0415  # as above
    from refresher.scheduler.database import Database  # noqa: PLC0415  # as above
    from refresher.state import shared  # noqa: PLC0415  # as above

    database = Database(settings, holder="history", read=LocalReferences().read)
    return asyncio.run(administration.answered(database, lambda one: shared.history(one, settings.schema, job, since)))


def _span(text: str) -> timedelta:
    try:
        return words.span(text)
    except ValueError as problem:
        raise typer.BadParameter(f"--since {problem}") from None


def _as_json(attempt: Attempt) -> str:
    members = asdict(attempt)
    moments = {name: None if members[name] is None else stamp(_moment(members[name])) for name in MOMENTS}
    return json.dumps(members | moments)


def _line(attempt: Attempt) -> str:
    line = (
        f"{_words.moment(_moment(attempt.at))}  {attempt.job}: {attempt.outcome.replace('_', ' ')} ({attempt.reason})"
    )
    if attempt.error is not None:
        status = f", HTTP {attempt.http_status}" if attempt.http_status else ""
        return f"{line}: {attempt.error}{status}"
    version = f" v{attempt.version}" if attempt.version else ""
    ends = "" if attempt.expires_at is None else f", expires {_words.moment(_moment(attempt.expires_at))}"
    return f"{line}: {attempt.path}{version}{ends}, {attempt.duration_ms} ms"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
