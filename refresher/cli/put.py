"""`refresher put`: a token that a person brings, by standard input, through the running daemon into Vault."""

import sys
from datetime import timedelta
from typing import Annotated, Final

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._daemon import is_well, told
from refresher.cli._process import known_jobs, set_up
from refresher.config import words
from refresher.core.secret import Secret

LONGEST: Final = 262_144  # characters: as long as a provider's reply may be
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job whose readers get the token.")]
LifeOption = Annotated[
    str | None,
    typer.Option("--expires-in", metavar="SPAN", help="How long it lives from now on, where it does not say: 1h."),
]


def put(
    job: JobArgument,
    life: LifeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config))
    names = known_jobs(settings, [job])
    lifetime_s = None if life is None else round(_span(life).total_seconds())
    set_up(settings, quiet=True)
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    question = {"jobs": names, "token": _brought().reveal(), "lifetime_s": lifetime_s}
    return 0 if all(map(is_well, told(client.ask(settings, "put", question), as_json=as_json, verb="put"))) else 1


def _span(text: str) -> timedelta:
    try:
        return words.span(text)
    except ValueError as problem:
        raise typer.BadParameter(f"--expires-in {problem}") from None


def _brought() -> Secret:
    if sys.stdin.isatty():
        text = typer.prompt("Access token, or the provider's whole reply on one line", hide_input=True, err=True)
    else:
        text = sys.stdin.read(LONGEST + 1)
    if not text.strip() or len(text) > LONGEST:
        raise typer.BadParameter("standard input holds no token, or far too much")
    return Secret(text)
