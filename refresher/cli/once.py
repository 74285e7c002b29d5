"""`refresher once`: one pass over what is due, then stop; the cron line's successor."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from refresher.cli import _daemon, _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import known_jobs, set_up
from refresher.core.outcome import Outcome
from refresher.core.settings import Settings
from refresher.host import signals

if TYPE_CHECKING:  # --help needs none of it
    from refresher.daemon import Parts
    from refresher.roster import Roster
    from refresher.web.textfile import Textfile

UNREACHED: Final = ("transport", "deadline")
MANY: Final = 20  # from here on a terminal sees a progress bar
JobsArgument = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Only these jobs; else all.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Fetch a token although none is due.")]


def once(
    jobs: JobsArgument = None,
    config: ConfigOption = None,
    force: ForceOption = False,  # noqa: FBT002  # typer's way to say a flag
    as_json: JsonOption = False,  # noqa: FBT002  # as above
) -> int:
    settings = load_or_exit(find_config(config))
    names = known_jobs(settings, jobs)
    set_up(settings, quiet=True)
    if (code := _by_the_daemon(settings, names, force=force, as_json=as_json)) is not None:
        return code
    if settings.postgres is not None:
        why = "the nodes of a fleet walk its jobs, and none runs here: refresher run, or ask on a host where one does"
        print(f"refresher once: {why}", file=sys.stderr)
        return os.EX_TEMPFAIL
    outcomes = asyncio.run(_pass(settings, names, force=force, as_json=as_json))
    if not as_json:
        for ended in outcomes:
            print(_words.outcome_line(ended))
    if all(ended.well for ended in outcomes) and len(outcomes) == len(names):
        return 0
    return os.EX_TEMPFAIL if all(_away(ended) for ended in outcomes) else 1


def _by_the_daemon(settings: Settings, names: tuple[str, ...], *, force: bool, as_json: bool) -> int | None:
    """Have the running daemon do it, and return the exit code; None where none runs that would hear us."""
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    try:
        answers = client.ask(settings, "once", {"jobs": names, "force": force})
        with _progress(len(names)) as advance:
            ended = _daemon.told(answers, as_json=as_json, verb="once", progress=advance)
    except client.NoDaemonError:
        return None
    except client.DeniedError as error:
        print(f"refresher once: {error}; this pass is our own", file=sys.stderr)
        return None
    if all(map(_daemon.is_well, ended)) and len(ended) == len(names):
        return 0
    away = all(one["store_down"] or one["error"] in UNREACHED for one in ended)
    return os.EX_TEMPFAIL if away else 1


async def _pass(settings: Settings, names: tuple[str, ...], *, force: bool, as_json: bool) -> list[Outcome]:
    from refresher import daemon  # noqa: PLC0415  # --help needs none of it
    from refresher.sinks.log import LogSink  # noqa: PLC0415  # as above

    left = None
    if settings.textfile is not None and set(names) == settings.jobs.keys():
        from refresher.web.textfile import Textfile  # noqa: PLC0415  # only where it is wanted

        left = Textfile(settings.textfile)
    unheard: list[OSError] = []
    async with daemon.build(settings, sinks=(LogSink(), *([] if left is None else [left.metrics]))) as parts:
        with _progress(len(names)) as advance:

            def done(ended: Outcome) -> None:
                advance()
                if as_json and not unheard:
                    try:
                        print(json.dumps(ended.as_json()), flush=True)
                    except OSError as error:  # the reader left, or a disk is full: the pass goes on
                        unheard.append(error)

            roster = parts.roster()
            # a shutdown, or an impatient person, in the midst of it: what was asked for is written first
            with signals.handled(dict.fromkeys((signal.SIGTERM, signal.SIGINT), roster.end_pass), last=True):
                ended = await roster.once(names, force=force, progress=done)
        if left is not None:
            _leave(left, parts, roster)
    if unheard:
        raise unheard[0]
    return ended


def _leave(left: "Textfile", parts: "Parts", roster: "Roster") -> None:
    """Leave the metrics of the pass; a file that can't be written spoils no pass."""
    try:
        left.write(parts, roster)
    except OSError as error:
        print(
            f"refresher once: {parts.settings.textfile}: {os.strerror(error.errno or 0)}: no metrics", file=sys.stderr
        )


def _away(ended: Outcome) -> bool:
    """Whether nothing could be done because Vault or the network is down."""
    return ended.store_down or ended.error in UNREACHED


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    if total < MANY or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415  # a few jobs need no bar
    from rich.progress import Progress  # noqa: PLC0415  # as above

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("jobs", total=total)
        yield lambda: progress.advance(task)
