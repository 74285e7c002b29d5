"""What both ends agree on: where the sockets are, and what is asked of them."""

from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

from refresher.core import filenames

Which: TypeAlias = Literal["view", "control"]
Verb: TypeAlias = Literal["once", "rotate", "pause", "resume", "put", "release"]

MODES: Final[dict[Which, int]] = {"view": 0o660, "control": 0o600}
VERBS: Final[tuple[Verb, ...]] = ("once", "rotate", "pause", "resume", "put", "release")
PACE: Final = timedelta(seconds=1)  # between the beginnings of two rotations that one person asked for
PING_S: Final = 10.0  # an answer that takes long says so this often, by an empty line
LARGEST: Final = 16 << 20  # bytes of what is asked: the names of very many jobs, or a token


def socket_of(directory: Path, which: Which, instance: str) -> Path:
    """Return the socket of an instance: several run side by side."""
    return directory / f"{which}-{filenames.of(instance)}.sock"
