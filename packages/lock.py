"""requirements.lock: each release that the packages ship, by the hashes of its files. `make lock` writes it.

requirements-build.lock is the same for what builds refresher's own wheel, which runs code that could change it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[1] / "requirements.lock"
BUILD: Final = FILE.with_name("requirements-build.lock")
_PINNED: Final = re.compile(r"([a-z0-9-]+)==([^ ;]+)(?: ; ([^\\]*))? \\")
_HASH: Final = re.compile(r" +--hash=sha256:([0-9a-f]{64})(?: \\)?")
_WANTED_BY: Final = re.compile(r" +# +(?:via +)?([a-z0-9-]+)(?: \(pyproject\.toml\))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A release: its name as registries normalise it, its version, SHA-256 of its files, who wants it, and where."""

    name: str
    version: str
    hashes: frozenset[str]
    wanted_by: tuple[str, ...]
    marker: str = ""


def read(text: str | None = None) -> tuple[Locked, ...]:
    """Return what `text`, or the file, locks. Raises ValueError for a line that is none of a lock's."""
    found: list[Locked] = []
    head: tuple[str, str, str] | None = None
    hashes: set[str] = set()
    wanted: list[str] = []

    def close() -> None:
        if head is not None:
            name, version, marker = head
            one = Locked(
                name=name, version=version, hashes=frozenset(hashes), wanted_by=tuple(wanted), marker=marker.strip()
            )
            found.append(one)

    for line in (FILE.read_text("utf-8") if text is None else text).splitlines():
        if line.startswith("#") or line.strip() in {"# via", "#   -c constraints.txt"}:
            continue
        if pinned := _PINNED.fullmatch(line):
            close()
            head, hashes, wanted = (pinned[1], pinned[2], pinned[3] or ""), set(), []
        elif one := _HASH.fullmatch(line):
            hashes.add(one[1])
        elif by := _WANTED_BY.fullmatch(line):
            wanted.append(by[1])
        else:
            raise ValueError(f"{FILE.name}: no line of a lock: {line}")
    close()
    return tuple(found)
