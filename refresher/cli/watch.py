"""`refresher watch`: the life left at each path, as a reader sees it, for whatever runs Nagios plugins."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import known_jobs, set_up
from refresher.config import words
from refresher.config.words import BadValueError
from refresher.core import reading
from refresher.core.reading import Expected
from refresher.core.settings import Settings

JobsArgument = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Only these jobs; else all.")]
PathOption = Annotated[
    list[str] | None,
    typer.Option("--path", metavar="PATH", help="A path, its mount first, of no job here; NAME:PATH on a cluster."),
]
LagOption = Annotated[
    str | None, typer.Option("--reader-lag", metavar="SPAN", help="How often readers read; else what the job says.")
]
WarningOption = Annotated[
    str | None, typer.Option("--warning", "-w", metavar="SPAN", help="Life left to warn below; else what is promised.")
]
CriticalOption = Annotated[
    str | None,
    typer.Option("--critical", metavar="SPAN", help="Life left that is critical; else half of that, or the lag."),
]


def watch(  # noqa: PLR0913, PLR0917  # a verb's options
    jobs: JobsArgument = None,
    config: ConfigOption = None,
    path: PathOption = None,
    warning: WarningOption = None,
    critical: CriticalOption = None,
    reader_lag: LagOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config), jobless=bool(path))
    names = known_jobs(settings, jobs) if jobs or not path else ()
    least, worst = _span("--warning", warning), _span("--critical", critical)
    if least is not None and worst is not None and worst > least:
        raise typer.BadParameter("--critical is more than --warning: the less life is left, the worse it is")
    lag = _span("--reader-lag", reader_lag)
    targets = [_target(settings, text) for text in path or ()]
    set_up(settings, quiet=True)
    from refresher.downstream import Path, read  # noqa: PLC0415  # the wire is for a hardened process

    own = Expected(lag=lag, warning=least, critical=worst)
    wanted = [Path(name=text, cluster=cluster, target=target, expected=own) for text, (cluster, target) in targets]
    for name in names:
        job = settings.jobs[name]
        expected = replace(own, margin=job.renew_before, lag=lag if lag is not None else job.reader_lag)
        for place in job.destinations:
            label = name if len(job.destinations) == 1 else str(place)
            wanted.append(Path(name=label, cluster=place.cluster, place=place, expected=expected))
    distinct = tuple({one.name: one for one in wanted}.values())
    found = asyncio.run(read(settings.clusters, distinct))
    if as_json:
        for one in found:
            print(json.dumps(one.as_json()))
    else:
        print(reading.line(found))
    return reading.EXITS[reading.verdict(found)]


def _target(settings: Settings, text: str) -> tuple[str, tuple[str, str]]:
    """Return the text of `--path`, and the cluster and path that it names."""
    cluster, colon, rest = text.partition(":")
    cluster, target = (cluster, rest) if colon else ("", text)
    if cluster not in settings.clusters:
        raise typer.BadParameter(f"--path: there is no table [clusters.{cluster}] in {settings.file}")
    try:
        return text, (cluster, words.path(target))
    except BadValueError as problem:
        raise typer.BadParameter(f"--path {problem}") from None


def _span(option: str, text: str | None) -> timedelta | None:
    try:
        return None if text is None else words.span(text)
    except BadValueError as problem:
        raise typer.BadParameter(f"{option} {problem}") from None
