"""What the verbs share that touch secrets: the log on standard error, a hardened process, the jobs that were named."""

from dataclasses import replace

import typer

from refresher.config.words import hint
from refresher.core.events import Event
from refresher.core.settings import Settings
from refresher.host import log, process
from refresher.sinks.log import LogSink


def set_up(settings: Settings, *, quiet: bool = False) -> None:
    """Harden the process and send the log to standard error; `quiet`: a verb that only looks warns, no more."""
    missing = process.harden()
    level = "warning" if quiet and settings.log.level == "info" else settings.log.level
    log.configure(replace(settings.log, level=level))
    for line in missing:
        LogSink().tell(Event(name="started", level="warning", fields={"warning": line}))


def known_jobs(settings: Settings, names: list[str] | None) -> tuple[str, ...]:
    """Return the jobs that were named, all where none was; exit 64 for a name that jobs.toml does not have."""
    for name in names or ():
        if name not in settings.jobs:
            why = f"there is no job {name!r} in {settings.file}{hint(name, settings.jobs)}"
            raise typer.BadParameter(why)
    return tuple(dict.fromkeys(names or settings.jobs))
