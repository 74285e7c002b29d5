"""`refresher check`: every mistake of jobs.toml at once."""

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config
from refresher.config import load
from refresher.core.errors import ConfigError, Mistake
from refresher.core.settings import Settings

LiveOption = Annotated[
    bool,
    typer.Option(
        "--live", help="Also log in to Vault, prove each path writable, reach each token host; spend nothing."
    ),
]


def check(config: ConfigOption = None, live: LiveOption = False, as_json: JsonOption = False) -> int:  # noqa: FBT002  # typer's way to say a flag
    path = find_config(config)
    try:
        settings = load(path)
    except ConfigError as problem:
        _tell(problem.mistakes, as_json=as_json)
        return os.EX_CONFIG
    failures: tuple[Mistake, ...] = ()
    warnings = settings.warnings
    if live:
        from refresher.cli._process import set_up  # noqa: PLC0415  # the log, for --live alone

        set_up(settings, quiet=True)
        from refresher.live import check_live  # noqa: PLC0415  # the daemon's parts, for --live alone

        tried = check_live(settings)
        failures, warnings = tried.failed, warnings + tuple(map(str, tried.warnings))
    _tell(failures, as_json=as_json)
    if not as_json:
        _praise(settings, warnings, failed=len(failures))
    return 1 if failures else 0


def _tell(mistakes: tuple[Mistake, ...], *, as_json: bool) -> None:
    for mistake in mistakes:
        typer.echo(json.dumps(asdict(mistake)) if as_json else mistake, err=not as_json)


def _praise(settings: Settings, warnings: tuple[str, ...], *, failed: int) -> None:
    jobs, providers = len(settings.jobs), len({job.provider for job in settings.jobs.values()})
    verdict = f"{_count(failed, 'live check')} failed" if failed else "no mistake"
    typer.echo(f"{settings.file}: {_count(jobs, 'job')}, {_count(providers, 'provider')}, {verdict}")
    for warning in warnings:
        typer.echo(f"warning: {warning}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
