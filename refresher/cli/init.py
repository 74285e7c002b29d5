"""`refresher init`: a commented jobs.toml to start from."""

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

FileArgument = Annotated[Path, typer.Argument(metavar="[FILE|-]", help="Where to write it; - is standard output.")]
_MODE = 0o644  # it holds no secret, and nobody else may write it


def init(file: FileArgument = Path("jobs.toml")) -> int:
    text = files("refresher.config").joinpath("example.toml").read_bytes()
    if str(file) == "-":
        typer.echo(text, nl=False)
        return 0
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "wb") as new:
            os.fchmod(descriptor, _MODE)
            new.write(text)
    except OSError as problem:
        why = (
            "there is one already; it stays as it is"
            if isinstance(problem, FileExistsError)
            else os.strerror(problem.errno or 0)
        )
        typer.echo(f"{file}: {why}", err=True)
        return 1
    typer.echo(f"{file}: written. Put in your own jobs, then: refresher check --config {file}")
    return 0
