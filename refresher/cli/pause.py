"""`refresher pause`: the running daemon leaves a job alone until a given time."""

from datetime import datetime
from typing import Annotated

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._daemon import alone
from refresher.cli._process import known_jobs
from refresher.config import words
from refresher.core.published import stamp, unstamp
from refresher.host.clock import SystemClock

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job to leave alone.")]
UntilOption = Annotated[
    str, typer.Option("--until", metavar="WHEN", help="A time (2026-11-21T10:00:00Z), or a span from now on (2h).")
]


def pause(job: JobArgument, until: UntilOption, config: ConfigOption = None) -> int:
    settings = load_or_exit(find_config(config))
    names = known_jobs(settings, [job])
    ends = _moment(until)
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    for row in client.ask(settings, "pause", {"jobs": names, "until": stamp(ends)}):
        expires_at = row["status"]["expires_at"]
        print(f"{job}: paused until {_words.moment(ends)}; refresher resume {job} ends that sooner")
        alone(row)
        if expires_at is not None and (dies_at := datetime.fromisoformat(expires_at)) < ends:
            print(f"readers' token dies at {_words.moment(dies_at)}, before that")
    return 0


def _moment(text: str) -> datetime:
    now = SystemClock().now()
    if (moment := unstamp(text)) is not None:
        if moment <= now:
            raise typer.BadParameter("--until is past")
        return moment
    try:
        return now + words.span(text)
    except (ValueError, OverflowError):
        why = "must be a time such as 2026-11-21T10:00:00Z, or a duration such as 30m, 2h or 1d"
        raise typer.BadParameter(f"--until {why}") from None
