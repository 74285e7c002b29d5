"""`refresher systemd print`: the units, for an installation that no package made."""

import sys
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from refresher.config.words import hint

PACKAGED: Final = "/usr/bin/refresher"  # as the units have it
HIDDEN: Final = ("/home", "/root", "/run/user")  # by ProtectHome=


class Deed(StrEnum):
    """What is done with a unit."""

    PRINT = "print"


DeedArgument = Annotated[Deed, typer.Argument(metavar="print", help="Write it to standard output.")]
NameArgument = Annotated[
    str, typer.Argument(metavar="[UNIT]", help="A unit, or a drop-in of examples/; a name that is not one lists them.")
]


def systemd(deed: DeedArgument, name: NameArgument = "refresher.service") -> None:  # noqa: ARG001  # there is one deed
    units = {one.name: one for one in files("refresher").joinpath("units").iterdir() if one.is_file()}
    examples = files("refresher").joinpath("units", "examples")
    units |= {f"examples/{one.name}": one for one in examples.iterdir()}
    if name not in units:
        raise typer.BadParameter(f"there is no unit {name!r}{hint(name, units)}; there are: {', '.join(sorted(units))}")
    program = _program()
    typer.echo(for_program(units[name].read_text("utf-8"), program), nl=False)
    if any(program.is_relative_to(one) for one in HIDDEN):
        typer.echo(
            f"{program}: the unit's sandbox hides that folder; install refresher elsewhere, as in /opt", err=True
        )


def for_program(unit: str, program: Path) -> str:
    """Return the text of a unit for a refresher that stands at `program`, and a unit that stands in /etc."""
    return unit.replace(PACKAGED, str(program)).replace("# /usr/lib/systemd/", "# /etc/systemd/", 1)


def _program() -> Path:
    """Return where this refresher stands: the name by which it was called, links and all, as a pipx keeps one."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":  # python -m refresher
        called = Path(sys.executable).with_name("refresher")
    return called.parent.resolve() / called.name
