"""Who is alive on this machine."""

from collections.abc import Iterator
from pathlib import Path


def living(group: int) -> Iterator[int]:
    """Yield the living processes of a process group; one that only waits for its parent to notice does not live."""
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text() if folder.name.isdigit() else ""
        except OSError:  # it ended meanwhile
            continue
        words = stat.rpartition(")")[2].split()
        if words and words[0] != "Z" and int(words[2]) == group:
            yield int(folder.name)
