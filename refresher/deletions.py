"""What Vault will delete by itself (`delete_version_after` of a mount or a path): told once of each place.

Vault says so in its answer to a write; who may only write secrets can't know it before.
"""

from datetime import datetime

from refresher.core import outcome
from refresher.core.job import Job
from refresher.core.model import Location
from refresher.ports import Sink


class Deletions:
    """Remembers of which places it has told, until a version is written there that stays."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._told: set[Location] = set()

    def noted(self, job: Job, place: Location, when: datetime | None) -> None:
        """Note that Vault will delete too early, `when`, what was just written at `place`; None: it does not."""
        if when is None:
            self._told.discard(place)
        elif place not in self._told:
            self._told.add(place)
            self._sink.tell(outcome.deleted_early(job, place, when))
