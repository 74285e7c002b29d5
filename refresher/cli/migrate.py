"""`refresher migrate crontab`: from a crontab of token scripts to a draft of jobs.toml."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

LARGEST: Final = 4 * 2**20  # bytes: far more than any crontab
_SYSTEM: Final = ("/etc/cron.d/", "/etc/crontab")


class Source(StrEnum):
    """What can be moved over."""

    CRONTAB = "crontab"


SourceArgument = Annotated[Source, typer.Argument(metavar="crontab", help="What is moved over.")]
FileArgument = Annotated[
    Path, typer.Argument(metavar="[FILE|-]", help="The crontab; else standard input, as in crontab -l |.")
]


def migrate(source: SourceArgument, file: FileArgument = Path("-")) -> int:  # noqa: ARG001  # there is one source
    from refresher.migrate.migrate import migrate as moved  # noqa: PLC0415  # --help needs none of it

    try:
        text = _read(file)
    except OSError as problem:
        typer.echo(f"{file}: cannot be read: {os.strerror(problem.errno or 0)}", err=True)
        return 1
    found = moved(text, system=str(file.absolute()).startswith(_SYSTEM))
    if found.jobs or found.untold:
        typer.echo(found.text, nl=False)
    typer.echo(_summary(found.jobs, len(found.untold)), err=True)
    for number, why in found.untold:
        typer.echo(f"line {number}: {why}", err=True)
    return 1 if found.untold or not found.jobs else 0


def _read(file: Path) -> str:
    if str(file) == "-":
        data = sys.stdin.buffer.read(LARGEST + 1)
    else:
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise typer.BadParameter(f"larger than {LARGEST // 2**20} MB is no crontab")
    return data.decode("utf-8", "replace").replace("\r\n", "\n")


def _summary(jobs: int, untold: int) -> str:
    drafted = f"{jobs} job{'' if jobs == 1 else 's'} drafted"
    return f"{drafted}, {untold} line{'' if untold == 1 else 's'} could not be told" if untold else drafted
