"""Builds the Debian and the RPM package, and their bill of materials: `python -m packages.build`, or `make packages`.

A package is self-contained: refresher and all that it needs of PyPI stand in /usr/lib/refresher, for one minor version
of Python, the distribution's own. nfpm (https://nfpm.goreleaser.com) packs the tree that is made here.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from email.utils import formatdate
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from packages import completions, man, scripts
from packages.libraries import glibc, libraries, licences, wheel
from packages.sbom import sbom
from packages.surface import verbs
from packages.tree import Tree
from refresher import __version__

ROOT: Final = Path(__file__).parents[1]
LIBRARY: Final = "usr/lib/refresher"
LAUNCHER: Final = """\
#!{python} -I
import sys
sys.path.insert(0, "/usr/lib/refresher")
from refresher.cli import main
sys.exit(main())
"""
UNCONFIGURED: Final = """\
# Nothing is in force here yet: take the `#` from what you need, then
#   refresher check
#   systemctl enable --now refresher
#
"""
ABOUT: Final = """\
Keeps a live OAuth token of every third-party API at a path in Vault
A daemon that fetches the OAuth token of each third-party API before the last
one expires, and writes it to HashiCorp Vault or OpenBao, where every other
program reads it. It replaces the cron line with curl and vault kv put in it.
"""
SMALLEST: Final = {"deb": "xz", "rpm": "zstd"}  # Debian 12's lintian calls zstd in a .deb an error
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
MAINTAINER: Final = "refresher maintainers <maintainers@refresher.invalid>"
DEBIAN_CHANGELOG: Final = f"""\
refresher ({__version__}-1) stable; urgency=medium

  * What is new is told in NEWS.gz.

 -- {MAINTAINER}  {formatdate(int(os.environ.get("SOURCE_DATE_EPOCH", "0")))}
"""


def stage(folder: Path, python: str) -> Tree:
    """Make in `folder` the tree of files that is installed, for that minor version of Python, as `3.11`."""
    tree = Tree(folder)
    shutil.copytree(libraries(python)[0], folder / LIBRARY, symlinks=True)
    wheel(folder / LIBRARY)
    for needless in (*(folder / LIBRARY).rglob("__pycache__"), folder / LIBRARY / "bin"):
        shutil.rmtree(needless, ignore_errors=True)
    compiled = [str(one) for one in (folder / LIBRARY).rglob("*.so")]
    subprocess.run(["strip", "--strip-unneeded", *compiled], check=True)  # names that only a debugger reads
    tree.write("usr/bin/refresher", LAUNCHER.format(python=interpreter(python)), mode=0o755)
    units = folder / LIBRARY / "refresher" / "units"
    for unit in (*units.glob("*.service"), *units.glob("*.timer"), *units.glob("*.path")):
        tree.write(f"usr/lib/systemd/system/{unit.name}", unit.read_text())
    known = verbs()
    for name, text in man.pages(known, __version__).items():
        tree.compress(f"usr/share/man/man1/{name}.gz", text)
    tree.write("usr/share/bash-completion/completions/refresher", completions.bash(known))
    tree.write("usr/share/zsh/vendor-completions/_refresher", completions.zsh(known))
    tree.write("usr/share/zsh/site-functions/_refresher", completions.zsh(known))
    tree.write("usr/share/fish/vendor_completions.d/refresher.fish", completions.fish(known))
    tree.write("etc/refresher/jobs.toml", unconfigured())
    tree.write("usr/share/doc/refresher/copyright", licences(folder / LIBRARY))
    tree.write("usr/share/licenses/refresher/LICENSE", (ROOT / "LICENSE").read_text())
    tree.compress("usr/share/doc/refresher/NEWS.gz", (ROOT / "CHANGELOG.md").read_text())
    tree.compress("usr/share/doc/refresher/changelog.Debian.gz", DEBIAN_CHANGELOG)
    return tree


def interpreter(python: str) -> str:
    """Return the path of an interpreter, on Debian and on Red Hat's descendants alike."""
    return f"/usr/bin/python{python}"


def unconfigured() -> str:
    """Return a jobs.toml of examples alone: none of them is in force."""
    lines = files("refresher.config").joinpath("example.toml").read_text("utf-8").splitlines()
    return UNCONFIGURED + "\n".join(f"# {line}" if line and not line.startswith("#") else line for line in lines) + "\n"


def pack(  # noqa: PLR0913  # a package's name, and how it is made
    tree: Tree, output: Path, *, kind: str, python: str, version: str = __version__, compression: str = ""
) -> Path:
    """Pack `tree` as a `kind`, deb or rpm, in the folder `output`, and return the file."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        texts = {"deb": scripts.deb, "rpm": scripts.rpm}[kind](interpreter(python))
        for name, text in texts.items():
            (folder / name).write_text(text)
        made = {name: str(folder / name) for name in texts}
        config = folder / "nfpm.json"
        settings = _nfpm(tree, kind, python, made)
        settings |= {"version": version}
        settings[kind]["compression"] = compression or SMALLEST[kind]
        config.write_text(json.dumps(settings))
        output.mkdir(parents=True, exist_ok=True)
        nfpm = Path(sys.executable).with_name("nfpm")
        command = [str(nfpm), "package", "--config", str(config), "--packager", kind, "--target", str(output)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Path(said.strip().rsplit(": ", 1)[1])


def _nfpm(tree: Tree, kind: str, python: str, made: dict[str, str]) -> dict[str, Any]:
    """Return nfpm's configuration. In an .rpm the trigger of the transaction is a matter of its own."""
    posttrans = made.pop("posttrans", None)
    needs_glibc = glibc(tree.folder / LIBRARY)
    needs = {
        "deb": [f"python{python}", f"libc6 (>= {needs_glibc})", "ca-certificates"],
        "rpm": [interpreter(python), f"libc.so.6(GLIBC_{needs_glibc})(64bit)", "ca-certificates"],
    }
    return {
        "name": "refresher",
        "release": "1",
        "arch": ARCHITECTURES[platform.machine()],
        "section": "admin",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "description": ABOUT,
        "license": "Apache-2.0",
        "depends": needs[kind],
        "contents": tree.contents(kind),
        "scripts": made,
        "deb": {},
        "rpm": {"summary": ABOUT.split("\n")[0]} | ({"scripts": {"posttrans": posttrans}} if posttrans else {}),
    }


def main() -> None:
    """Build both packages."""
    parser = argparse.ArgumentParser(prog="python -m packages.build", description="Build the .deb and the .rpm.")
    parser.add_argument("--python", default=f"3.{sys.version_info.minor}", help="minor version, as 3.11")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tree = stage(Path(scratch) / "root", words.python)
        bill = words.output / f"refresher-{__version__}.cdx.json"
        words.output.mkdir(parents=True, exist_ok=True)
        bill.write_text(sbom(tree.folder / LIBRARY, libraries(words.python)[1], __version__), "utf-8")
        print(bill)
        for kind in ("deb", "rpm"):
            made = pack(tree, words.output, kind=kind, python=words.python)
            print(f"{made}: {made.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
