"""Installs refresher in a box from its own package, built for the Python that is there."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from packages.build import LIBRARY, pack, stage
from packages.tree import Tree
from tests.systemd.box import Box

UNITS = Path(__file__).parents[2] / "systemd"
NEXT = "0.2.0"  # the version after this one: the same but for its number


def install(box: Box, output: Path) -> Path:
    """Install refresher and return its package; what is built is kept in the folder `output`."""
    package = deb(output, python_of(box))
    add(box, package)
    return package


def python_of(box: Box) -> str:
    """Return the minor version of the Python in a box."""
    return box.run("/usr/bin/python3", "-c", "import sys; print(*sys.version_info[:2], sep='.')").stdout.strip()


def add(box: Box, package: Path) -> str:
    """Install a package, as an administrator does, and return what that said."""
    shutil.copy(package, box.root / "root" / package.name)
    command = ("dpkg", "--install") if package.suffix == ".deb" else ("rpm", "--upgrade", "--nodeps")
    done = box.run(*command, f"/root/{package.name}")
    return done.stdout + done.stderr


@cache
def staged(python: str) -> Tree:
    """Return the tree of the packages, which lives as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="refresher-package-")
    tree = stage(Path(folder.name) / "root", python)
    _kept.append(folder)
    return tree


_kept: "list[tempfile.TemporaryDirectory[str]]" = []


@cache
def deb(output: Path, python: str) -> Path:
    return pack(staged(python), output, kind="deb", python=python)


@cache
def rpm(output: Path, python: str) -> Path:
    return pack(staged(python), output, kind="rpm", python=python)


def later(output: Path, python: str, kind: str) -> Path:
    """Return the package of the version after this one."""
    file = staged(python).folder / LIBRARY / "refresher" / "__init__.py"
    before = file.read_text()
    file.write_text(before.replace('__version__ = "', f'__version__ = "{NEXT}"  # "'))
    try:
        return pack(staged(python), output, kind=kind, python=python, version=NEXT, compression="gzip")
    finally:
        file.write_text(before)
