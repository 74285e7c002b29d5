"""What of the daemon the page asks besides its jobs."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from refresher.core.perishable import Perishable
from refresher.core.settings import Cluster
from refresher.core.view import FleetView
from refresher.state import tables
from refresher.web.overview import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What of the daemon is asked besides its jobs. `directory` is that of its state, `file` its ledger."""

    directory: Path
    file: Path
    instance: str
    clusters: Callable[[], Mapping[str, Cluster]]
    lives: Callable[[], Mapping[str, timedelta | None]]
    dropped: Callable[[], Mapping[str, int]]
    logins: Mapping[str, Perishable] = field(default_factory=dict)
    fleet: "Fleet | None" = None


class Fleet(Protocol):
    """What all nodes did, of whom this one is one; None where PostgreSQL is away."""

    def view(self) -> FleetView:
        """Return who is there, as of a few seconds ago."""

    async def tried(self, jobs: Collection[str], since: datetime) -> Tried | None:
        """Return the attempts of `jobs` from `since` on, and the last token before it, by job."""

    async def history(self, job: str, since: datetime) -> list[tables.Attempt] | None:
        """Return the attempts of `job`, as the ledger has them, oldest first."""
