"""`refresher rotate`: now, whatever is due, through the running daemon."""

import sys
from typing import Annotated, Final

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._daemon import is_well, told
from refresher.cli._process import known_jobs
from refresher.config.words import hint
from refresher.control.names import PACE
from refresher.core.settings import Settings

SHOWN: Final = 20  # jobs of a preview
JobsArgument = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="These jobs.")]
ProviderOption = Annotated[
    str | None,
    typer.Option("--provider", metavar="NAME", help="All jobs of this provider, after a preview; one a second."),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask after the preview.")]


def rotate(
    jobs: JobsArgument = None,
    provider: ProviderOption = None,
    yes: YesOption = False,  # noqa: FBT002  # typer's way to say a flag
    config: ConfigOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # as above
) -> int:
    if bool(jobs) == (provider is not None):
        raise typer.BadParameter("name the jobs, or a --provider")
    settings = load_or_exit(find_config(config))
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    names = list(known_jobs(settings, jobs)) if provider is None else _of(settings, provider, ask=not yes)
    ended = told(client.ask(settings, "rotate", {"jobs": names}), as_json=as_json)
    if len(ended) < len(names):
        left = len(names) - len(ended)
        typer.echo(f"{left} of {len(names)} jobs are left as they were: too many in a row failed", err=True)
    return 0 if all(map(is_well, ended)) and len(ended) == len(names) else 1


def _of(settings: Settings, provider: str, *, ask: bool) -> list[str]:
    """Return the jobs of a provider, once a person has seen what it comes to."""
    names = [name for name, job in settings.jobs.items() if job.provider == provider]
    if not names:
        known = {job.provider for job in settings.jobs.values()}
        raise typer.BadParameter(f"no job in {settings.file} has the provider {provider!r}{hint(provider, known)}")
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    typer.echo(f"{', '.join(names[:SHOWN])}{more}", err=True)
    count = f"{len(names)} jobs" if len(names) > 1 else "1 job"
    typer.echo(
        f"{count} of {provider}, one after the other, in {_words.span(PACE * len(names))} at the least; "
        "three that fail in a row end it. Jobs that were rotated by hand in the last two minutes, or are paused, "
        "are left as they are.",
        err=True,
    )
    if ask and not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: --yes goes on without")
    if ask and not typer.confirm("Rotate them now?", err=True):
        raise typer.Exit(1)
    return names
