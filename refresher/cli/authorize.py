"""`refresher authorize`: a person's first consent, or a refresh token from elsewhere, stored and proven at once."""

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final, TextIO

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, find_config, load_or_exit
from refresher.cli._process import known_jobs, set_up
from refresher.config.references import reference
from refresher.config.words import BadValueError
from refresher.core.errors import ConfigError, Mistake
from refresher.core.job import Job
from refresher.core.model import Reference
from refresher.core.settings import Settings

if TYPE_CHECKING:  # --help needs none of it
    from refresher.authorize import Ended
    from refresher.consent import Prompt

SIGNALLED: Final = 128  # and the signal's number, as shells say it
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job whose refresh token it is.")]
ImportOption = Annotated[
    str | None,
    typer.Option(
        "--import", metavar="REF", help="Take the refresh token that stands there: file:, vault:, credential:, env:."
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace a refresh token although it may work.")]


def authorize(
    job: JobArgument,
    imported: ImportOption = None,
    force: ForceOption = False,  # noqa: FBT002  # typer's way to say a flag
    config: ConfigOption = None,
) -> int:
    settings = load_or_exit(find_config(config))
    one = settings.jobs[known_jobs(settings, [job])[0]]
    where = _reference(imported)
    _check(settings, one, by_consent=where is None)
    set_up(settings, quiet=True)
    from refresher.authorize import authorize as run  # noqa: PLC0415  # --help needs none of it
    from refresher.consent import InterruptedWaitError  # noqa: PLC0415  # as above

    try:
        ended = asyncio.run(run(settings, one, reference=where, force=force, show=_show, say=_say))
    except InterruptedWaitError as end:
        return SIGNALLED + end.number
    return _tell(one, ended, where)


def _reference(text: str | None) -> Reference | None:
    try:
        return None if text is None else reference(text)
    except BadValueError as problem:
        raise typer.BadParameter(f"--import {problem}") from None


def _check(settings: Settings, job: Job, *, by_consent: bool) -> None:
    """Say at once what the job lacks; raise ConfigError."""
    table = f"jobs.{job.name}"
    if job.grant != "refresh_token" and not job.refreshes:
        message = f'{job.grant} uses no refresh token, there is nothing to consent to; write grant = "refresh_token"'
        raise ConfigError((Mistake(str(settings.file), table, "grant", message),))
    if by_consent and job.shape.consent is None:
        message = (
            'is needed to ask for consent: authorize = { flow = "device_code" or "authorization_code", url = "..." };'
            " or bring a refresh token with --import REF"
        )
        raise ConfigError((Mistake(str(settings.file), table, "authorize", message),))


def _show(prompt: "Prompt") -> None:
    """Print where a person consents."""
    from refresher.consent import DevicePrompt  # noqa: PLC0415  # --help needs none of it

    until = _words.moment(prompt.until)
    if isinstance(prompt, DevicePrompt):
        lines = ["Open this address on any device:", "", _big(prompt.uri), "", "and enter this code:", ""]
        lines += [_big(prompt.code), ""]
        if prompt.complete:
            lines += [f"or open both in one: {prompt.complete}", ""]
    else:
        lines = ["Open this address in a browser on this machine:", "", prompt.url, ""]
        lines += [f"(from another machine: first ssh -L {prompt.port}:127.0.0.1:{prompt.port} to this one)", ""]
    print("\n".join(lines))
    print(f"Waiting for the answer until {until}; Ctrl-C ends it.", flush=True)


def _walked(ended: "Ended") -> str:
    """Return what came of the last walk."""
    if ended.outcome is None or ended.outcome.well:
        return "" if ended.outcome is None else _words.outcome_line(ended.outcome)
    status = f" (HTTP {ended.outcome.http_status})" if ended.outcome.http_status else ""
    return f"{ended.why or ended.outcome.error}{status}"


def _big(text: str) -> str:
    return f"    {typer.style(text, bold=True) if sys.stdout.isatty() else text}"


def _say(line: str, to: TextIO | None = None) -> None:
    with suppress(OSError):  # a terminal that went away ends nothing: the line is lost, what is in hand is not
        print(line, file=to or sys.stderr, flush=True)


def _tell(job: Job, ended: "Ended", where: Reference | None) -> int:
    """Print what came of it and return the exit code."""
    line = _walked(ended)
    source = "consent" if where is None else str(where)
    match ended.verdict:
        case "proven":
            _say(f"{job.name}: the refresh token from {source} works, and is kept in {job.state}\n{line}", sys.stdout)
            return 0
        case "unproven" if where is None:
            _say(f"{job.name}: the refresh token is kept in {job.state}, but could not be proven yet: {line}")
        case "unproven" | "unchecked" | "blocked":
            _say(f"{job.name}: nothing was changed, since the job can't be walked now: {line}")
        case "refused":
            kept = f"; {job.state} stays as it was" if where is not None else ""
            _say(f"{job.name}: the provider refuses the refresh token from {source}{kept}: {line}")
        case "working":
            _say(f"{job.name}: the refresh token in {job.state} works and stays; --force replaces it\n{line}")
        case "not_given":
            _say(f"{job.name}: no consent: {ended.why}")
        case "no_refresh_token":
            _say(
                f"{job.name}: the consent brought an access token and no refresh token, nothing was stored; ask for"
                ' one: most take scope "offline_access", Google authorize.params = { access_type = "offline",'
                ' prompt = "consent" }, others allow the client the grant refresh_token'
            )
    return 1
