"""Puts refresher into a box as a package does: its library, its launcher, its units."""

import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.systemd.box import Box

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
LIBRARY = "/usr/lib/refresher"
LAUNCHER = f"""\
#!/usr/bin/python3 -I
import sys
sys.path.insert(0, "{LIBRARY}")
from refresher.cli import main
sys.exit(main())
"""


def install(box: Box) -> None:
    """Install refresher for the Python of the box."""
    version = "import sys; print(*sys.version_info[:2], sep='.')"
    library = box.root / LIBRARY.lstrip("/")
    shutil.copytree(libraries(box.run("/usr/bin/python3", "-c", version).stdout.strip()), library)
    shutil.copytree(ROOT / "refresher", library / "refresher", ignore=shutil.ignore_patterns("__pycache__"))
    box.run("chmod", "--recursive", "u=rwX,go=rX", LIBRARY)
    box.run("/usr/bin/python3", "-m", "compileall", "-q", LIBRARY)
    box.write("/usr/bin/refresher", LAUNCHER, mode=0o755)
    install_units(box)


def install_units(box: Box) -> None:
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.timer")):
        box.write(f"/usr/lib/systemd/system/{unit.name}", unit.read_text())
    box.systemctl("daemon-reload")


def libraries(python: str) -> Path:
    """Return a folder with what refresher needs of PyPI, for that version of Python; kept beside the virtual one."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    constraints = ROOT / "constraints.txt"
    stamp = hashlib.sha256(repr(wanted).encode() + constraints.read_bytes()).hexdigest()[:12]
    folder = Path(sys.prefix) / f"libraries-{python}-{stamp}"
    if not folder.exists():
        draft = folder.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile"]
        foreign = ["--python-version", python, "--only-binary=:all:", "--target", str(draft)]
        subprocess.run([*pip, *foreign, "--constraint", str(constraints), *wanted], check=True)
        draft.rename(folder)
    return folder
