"""A tree of files, as it will be installed, and what nfpm is told of it."""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ONLY: Final = {
    "usr/share/zsh/vendor-completions": "deb",
    "usr/share/zsh/site-functions": "rpm",
    "usr/share/doc/refresher/changelog.Debian.gz": "deb",
    "usr/share/licenses": "rpm",
}
OURS: Final = "refresher"
SETTINGS: Final = "etc/"


@dataclass(frozen=True, slots=True)
class Tree:
    """Files in `folder`, named as from the root."""

    folder: Path

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Put a text into the tree."""
        self._put(name, text.encode(), mode)

    def compress(self, name: str, text: str) -> None:
        """Put a text into the tree, as gzip packs it best and always alike."""
        self._put(name, gzip.compress(text.encode(), 9, mtime=0), 0o644)

    def contents(self, kind: str) -> list[dict[str, object]]:
        """Return what nfpm packs for a `kind`, deb or rpm; what is in /etc stays as it was changed."""
        found: list[dict[str, object]] = []
        for file in sorted(self.folder.rglob("*")):
            name = str(file.relative_to(self.folder))
            if any(Path(name).is_relative_to(place) and kind != only for place, only in ONLY.items()):
                continue
            if file.is_dir():
                if OURS in file.relative_to(self.folder).parts:  # others' folders are not ours to remove
                    found.append({"dst": f"/{name}", "type": "dir", "file_info": {"mode": 0o755}})
                continue
            mode = 0o755 if os.access(file, os.X_OK) and name.startswith("usr/bin/") else 0o644
            how = {"type": "config|noreplace"} if name.startswith(SETTINGS) else {}
            found.append({"src": str(file), "dst": f"/{name}", "file_info": {"mode": mode}, **how})
        return found

    def _put(self, name: str, data: bytes, mode: int) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.chmod(mode)
