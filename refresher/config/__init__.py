"""jobs.toml: from text to frozen values, or every mistake at once.

Rules of this module:
- It imports nothing by itself: who wants a word explained (`refresher providers`) does not wait for the models.
"""

import gc
from pathlib import Path
from typing import Any

from refresher.core.settings import Settings


def load(path: Path, *, jobless: bool = False) -> Settings:
    """Return what the file `path` and the files it includes say; raise ConfigError with every mistake in them.

    `jobless`: it may have no job, where a Vault to read from is all that is wanted.

    Reads no secret: references are checked as text. Of the environment only $VAULT_ADDR and $BAO_ADDR are read, and
    only where [vault] names no address.
    """
    from refresher.config import settings  # noqa: PLC0415  # see the rule above

    collects = gc.isenabled()
    gc.disable()  # of a hundred thousand jobs no object is garbage: looking for some takes a fifth of the time
    try:
        return settings.load(path, jobless=jobless)
    finally:
        if collects:
            gc.enable()


def json_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of jobs.toml, for editors."""
    from refresher.config import schema  # noqa: PLC0415  # see the rule above

    return schema.json_schema()
