"""The series of /metrics as a file, for node_exporter's textfile collector: what a pass leaves, since nobody asks it.

Rules of this module:
- The file is whole or as it was before; anybody may read it, and there is nothing secret in it.
- Counts go on from those in the file, as long as it is there: Prometheus sees them grow from pass to pass.
- Nothing about the process: node_exporter has series of the same names about itself.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from refresher.core.view import oldest_due
from refresher.host import log, paths
from refresher.roster import Roster
from refresher.sinks.families import Reading
from refresher.sinks.metrics import Metrics
from refresher.state import journal
from refresher.web.overview import clusters_of, view_of
from refresher.web.wiring import House

MODE: Final = 0o644
LARGEST: Final = 64 << 20  # bytes; a hundred thousand jobs take half of it


class Textfile:
    """`metrics` is told what happens in the pass; `write` leaves it in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.metrics = Metrics(process=False)
        self._path = path
        with suppress(OSError, ValueError):  # none yet, or none of ours: counts begin anew
            if path.stat().st_size <= LARGEST:
                self.metrics.go_on(path.read_text("utf-8"))

    def write(self, house: House, roster: Roster) -> None:
        """Write how the jobs stand. Raises OSError."""
        settings, now, holder = house.settings, house.clock.now(), house.identity.seed
        state = paths.state_dir(settings.state_dir)
        views = [view_of(charge, now, holder) for charge in roster.charges.values()]
        entries, size = journal.usage(state, settings.instance)
        reading = Reading(
            now=now,
            jobs=views,
            clusters=clusters_of(roster, now, {name: store.life_left for name, store in house.stores.items()}, {}),
            oldest_due_s=oldest_due(views, now),
            swept_s=0.0,
            journal_entries=entries,
            journal_bytes=size,
            dropped={"log_lines": log.dropped(), **house.calls.dropped},
        )
        text = self.metrics.render(reading)
        with paths.locked(self._path.parent) as folder:
            paths.write_private(folder, self._path.name, text, mode=MODE)
