"""What a login yields once and a restart needs again: a small private file in the state directory.

Rules of this module:
- 0600, replaced whole (as host/paths.py does the identity's). It holds a secret in the clear: there is no key to be had
  before the login that it is for.
- What stands there and can't be read, or others could read or write, is an error: as if it were not there, somebody who
  merely looks from another account would take what we unwrapped for stolen.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from refresher.core import filenames
from refresher.core.errors import StoreRefusedError
from refresher.host import paths

PREFIX: Final = "login"
SIZE_LIMIT: Final = 1 << 20  # bytes; one warning that was told takes some seventy


class Kept:
    """Members of text by name, in the files `PREFIX-INSTANCE-NAME.json` of `directory`."""

    def __init__(self, directory: Path, instance: str, *, prefix: str = PREFIX) -> None:
        self._directory = directory
        self._instance = filenames.of(instance)
        self._prefix = prefix

    def read(self, name: str) -> Mapping[str, str]:
        """Return what was kept under `name`, empty where nothing was. Raises StoreRefusedError with code `login`."""
        file = self._file(name)
        try:
            with paths.locked(self._directory) as folder:
                try:
                    members = json.loads(paths.read_private(folder, file, limit=SIZE_LIMIT))
                except FileNotFoundError:
                    return {}
        except OSError as error:
            raise self._refused(name, os.strerror(error.errno or 0)) from None
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict) or not all(isinstance(text, str) for text in members.values()):
            raise self._refused(name, "others may read it, or it makes no sense; delete it, deliver a new secret ID")
        return members

    def write(self, name: str, members: Mapping[str, str]) -> None:
        """Keep `members` under `name`. Raises StoreRefusedError with code `login`: the directory takes no file."""
        try:
            with paths.locked(self._directory) as folder:
                paths.write_private(folder, self._file(name), json.dumps(dict(members)).encode())
        except OSError as error:
            raise self._refused(name, f"{os.strerror(error.errno or 0)}: what the login needs can't be kept") from None

    def _refused(self, name: str, why: str) -> StoreRefusedError:
        return StoreRefusedError("login", f"{self._directory / self._file(name)}: {why}")

    def _file(self, name: str) -> str:
        return f"{self._prefix}-{self._instance}-{name}.json"
