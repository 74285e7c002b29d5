"""refresher's wheel, and what it needs of PyPI, for any minor version of Python."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from packages.lock import BUILD, FILE

ROOT: Final = Path(__file__).parents[1]
PIP: Final = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")


def libraries(python: str) -> tuple[Path, dict[str, str]]:
    """Return a folder with what refresher needs of PyPI, for that version of Python; kept beside the virtual one.

    Besides, the SHA-256 of the wheel of each. pip takes no file whose hash is not in the lock.
    """
    folder = Path(sys.prefix) / f"libraries-{python}-{hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]}"
    hashes = folder.with_name(f"{folder.name}.json")
    if not (folder.exists() and hashes.exists()):
        draft, report = (folder.with_name(f"{folder.name}.{end}") for end in ("draft", "report"))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(draft, ignore_errors=True)
        foreign = ("--python-version", python, "--only-binary=:all:", "--no-compile", "--target", str(draft))
        locked = ("--require-hashes", "--requirement", str(FILE), "--report", str(report))
        subprocess.run([*PIP, "install", *foreign, *locked], check=True)
        hashes.write_text(json.dumps(_hashes(report)))
        report.unlink()
        draft.rename(folder)
    return folder, json.loads(hashes.read_text())


def _hashes(report: Path) -> dict[str, str]:
    installed = json.loads(report.read_text())["install"]
    return {
        normal(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"]["sha256"] for one in installed
    }


def normal(name: str) -> str:
    """Return a distribution's name as registries normalise it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel(target: Path) -> None:
    """Build refresher's wheel and install it in the folder `target`."""
    with tempfile.TemporaryDirectory() as scratch:
        tools = f"{scratch}/tools"
        locked = ("--require-hashes", "--requirement", str(BUILD))
        subprocess.run([*PIP, "install", "--no-compile", "--target", tools, *locked], check=True)
        ours = (*PIP, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", scratch, str(ROOT))
        subprocess.run(ours, check=True, env=os.environ | {"PYTHONPATH": tools})
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
        lines.append(f"  {about['Name']} {about['Version']}: {terms(about) or 'see there'}")
    return "\n".join(lines) + "\n"


def terms(about: Message) -> str:
    """Return the licence that a distribution's metadata state, empty where they state none."""
    stated = about["License-Expression"] or (about["License"] or "").split("\n")[0]
    classified = [one.rsplit(" :: ", 1)[1] for one in about.get_all("Classifier", []) if one.startswith("License")]
    return str(stated or ", ".join(classified))
