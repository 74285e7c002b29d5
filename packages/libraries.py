"""refresher's wheel, and what it needs of PyPI, for any minor version of Python."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PIP: Final = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")


def libraries(python: str) -> Path:
    """Return a folder with what refresher needs of PyPI, for that version of Python; kept beside the virtual one."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    constraints = ROOT / "constraints.txt"
    stamp = hashlib.sha256(repr(wanted).encode() + constraints.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / f"libraries-{python}-{stamp}"
    if not folder.exists():
        draft = folder.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        foreign = ("--python-version", python, "--only-binary=:all:", "--no-compile", "--target", str(draft))
        subprocess.run([*PIP, "install", *foreign, "--constraint", str(constraints), *wanted], check=True)
        draft.rename(folder)
    return folder


def wheel(target: Path) -> None:
    """Build refresher's wheel and install it in the folder `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", scratch, str(ROOT)], check=True)
        (built,) = Path(scratch).glob("*.whl")
        alone = ("--no-deps", "--no-compile", "--ignore-requires-python", "--target", scratch + "/tree")
        subprocess.run([*PIP, "install", *alone, str(built)], check=True)
        shutil.copytree(scratch + "/tree", target, dirs_exist_ok=True)


def glibc(folder: Path) -> str:
    """Return the oldest glibc on which the wheels installed in `folder` run, by their own tags (PEP 600)."""
    oldest = [(2, 17)]
    for tags in folder.glob("*.dist-info/WHEEL"):
        found = re.findall(r"manylinux_(\d+)_(\d+)_", tags.read_text())
        oldest += sorted((int(major), int(minor)) for major, minor in found)[:1]
    major, minor = max(oldest)
    return f"{major}.{minor}"


def licences(folder: Path) -> str:
    """Return whose work stands in `folder`, and under which terms: each names the files that say them."""
    lines = [
        "refresher: Apache License, Version 2.0; on Debian in /usr/share/common-licenses/Apache-2.0.",
        "Copyright: the authors of refresher.",
        "",
        "With it come, in /usr/lib/refresher, with their licences in NAME.dist-info:",
        "",
    ]
    for file in sorted(folder.glob("*.dist-info/METADATA"), key=lambda one: one.parent.name.lower()):
        about = HeaderParser().parsestr(file.read_text("utf-8"))
        terms = about["License-Expression"] or (about["License"] or "").split("\n")[0]
        classified = [one.rsplit(" :: ", 1)[1] for one in about.get_all("Classifier", []) if one.startswith("License")]
        lines.append(f"  {about['Name']} {about['Version']}: {terms or ', '.join(classified) or 'see there'}")
    return "\n".join(lines) + "\n"
