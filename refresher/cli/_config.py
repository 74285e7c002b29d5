"""What every verb that reads jobs.toml shares: where it is, and what happens when it is wrong."""

import os
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from refresher.config import load
from refresher.core.errors import ConfigError
from refresher.core.settings import Settings

SYSTEM: Final = Path("/etc/refresher/jobs.toml")
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Else $REFRESHER_CONFIG, ./jobs.toml, /etc/refresher/jobs.toml."
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object per line, and nothing else.")]


def find_config(option: Path | None) -> Path:
    """Return the file that `--config` names, else the first of the usual ones; exit 78 where there is none."""
    if option is not None:
        return option
    if named := os.environ.get("REFRESHER_CONFIG"):
        return Path(named)
    for usual in (Path("jobs.toml"), SYSTEM):
        if os.path.exists(usual):  # noqa: PTH110  # Path's raises where the folder is closed to us
            return usual
    typer.echo(f"there is no jobs.toml here and no {SYSTEM}: refresher init writes one, --config names one", err=True)
    raise typer.Exit(os.EX_CONFIG)


def load_or_exit(path: Path, *, jobless: bool = False) -> Settings:
    """Return the settings in `path`; else print every mistake, one a line, and exit 78. `jobless`: as in load()."""
    try:
        return load(path, jobless=jobless)
    except ConfigError as problem:
        typer.echo(problem, err=True)
    raise typer.Exit(os.EX_CONFIG)
