"""Files that are mounted for this process's container alone (Kubernetes, Docker, Podman)."""

from pathlib import Path
from typing import Final

MOUNTS: Final = (Path("/run/secrets"), Path("/var/run/secrets"))


def is_mounted(path: Path, mounts: tuple[Path, ...] = MOUNTS) -> bool:
    """Whether `path` leads into a file system of its own below one of the folders for that."""
    above = next((folder.parent for folder in mounts if f"{path}/".startswith(f"{folder}/")), None)
    try:
        return above is not None and ".." not in path.parts and path.stat().st_dev != above.stat().st_dev
    except OSError:
        return False
