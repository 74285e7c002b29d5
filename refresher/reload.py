"""jobs.toml again, while we run: what of it is taken over, and what keeps the old jobs running.

Rules of this module:
- A file that can't be read whole, or that loses more than anybody would mean to, changes nothing.
- A refusal is an alert once: the same one again only answers whoever asked.
- What an operator means by force overrules doubts, never mistakes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from refresher import config
from refresher.core.errors import ConfigError, Mistake
from refresher.core.events import Event, Field
from refresher.core.job import Job
from refresher.core.model import Location
from refresher.core.settings import Settings

FIXED: Final = (
    "state_dir",
    "limits",
    "log",
    "drift_check",
    "request_deadline",
    "web_listen",
    "postgres",
)  # taken over at the next start alone
LARGEST_LOSS: Final = 5  # a reload may lose one job in so many
ROOM: Final = 12_000  # characters that a list of texts may take of a log line, which is cut at 16 KiB
MOST: Final = 90  # texts
SHOWN: Final = 10


@dataclass(slots=True)
class Refusals:
    """What was refused since the last reading that was taken over."""

    count: int = 0
    last: tuple[str, ...] = ()

    def refused(self, error: ConfigError, settings: Settings) -> Event:
        """Return what to tell of a refusal: an alert, or an answer where it is the same as the last one."""
        mistakes = tuple(dict.fromkeys(str(mistake) for mistake in error.mistakes))
        known, self.last, self.count = mistakes == self.last, mistakes, self.count + 1
        fields: dict[str, Field] = {
            "mistakes": fitting(mistakes, "refresher check names them all"),
            "jobs": len(settings.jobs),
        }
        return Event(name="reload_refused", level="info" if known else "error", fields=fields)

    def over(self) -> int:
        """Return how many there were, and begin anew."""
        count, self.count, self.last = self.count, 0, ()
        return count


def read(old: Settings, *, force: bool) -> Settings:
    """Read the file of `old` again, each file by one open. Raises ConfigError: the old jobs are to run on."""
    try:
        new = config.load(old.file)
    except ConfigError:
        raise
    except Exception as error:  # whatever is in that file, it must not end a daemon that runs
        why = f"cannot be read: {type(error).__name__}"
        raise ConfigError((Mistake(str(old.file), "", "", why),)) from error
    if new.instance != old.instance:  # it would keep other paths and state records
        raise ConfigError((Mistake(str(old.file), "instance", "name", "it changes at a restart alone"),))
    found = () if force else tuple(doubts(old, new))
    if found:
        raise ConfigError(found)
    return new


def doubts(old: Settings, new: Settings) -> Iterable[Mistake]:
    """Yield what is hardly meant: a reload says no to it, unless by force."""
    file, meant = str(new.file), "where that is meant, send SIGUSR2 in place of SIGHUP"
    for pattern, files in new.includes.items():
        if not files and (before := old.includes.get(pattern)):
            yield Mistake(file, "", "include", f"no file matches {pattern}, where {before} did before; {meant}")
    kept = new.jobs.keys() | {job.moved_from for job in new.jobs.values()}
    gone = sorted(old.jobs.keys() - kept)
    if len(gone) * LARGEST_LOSS > len(old.jobs):
        names = ", ".join(gone[:SHOWN]) + (", ..." if len(gone) > SHOWN else "")
        yield Mistake(file, "jobs", "", f"{len(gone)} of {len(old.jobs)} jobs are gone ({names}); {meant}")


def taken_over(old: Settings, new: Settings) -> Settings:
    """Return what counts from now on, of the settings `new` in place of `old`."""
    return replace(new, **{name: getattr(old, name) for name in FIXED})


def reloaded(old: Settings, new: Settings, *, refused: int) -> Event:
    """Return what to tell of a file that was taken over."""
    moved = {job.moved_from: name for name, job in new.jobs.items() if job.moved_from in old.jobs}
    both = new.jobs.keys() & old.jobs.keys()
    fields: dict[str, Field] = {
        "jobs": len(new.jobs),
        "added": len(new.jobs.keys() - old.jobs.keys() - set(moved.values())),
        "removed": len(old.jobs.keys() - new.jobs.keys() - moved.keys()),
        "changed": sum(old.jobs[name] != new.jobs[name] for name in both),
        "needs_restart": tuple(name for name in FIXED if getattr(old, name) != getattr(new, name)),
    }
    if moved:
        fields["moved"] = len(moved)
    if orphans := orphaned(old.jobs.values(), new.jobs.values()):
        fields["orphaned"] = fitting(orphans, "refresher plan names them all")
    if refused:
        fields["refused"] = refused
    return Event(name="reloaded", fields=fields)


def orphaned(old: Iterable[Job], new: Iterable[Job]) -> tuple[str, ...]:
    """Return the Vault paths that some job of `old` kept, and no job of `new` does."""
    kept = {place for job in new for place in _places(job)}
    return tuple(str(place) for place in sorted({place for job in old for place in _places(job)} - kept))


def _places(job: Job) -> tuple[Location, ...]:
    """Return the places of a job; the state record of its old name is emptied, and nobody's concern."""
    former = (job.former.state,) if job.moved_from else ()
    return (*job.destinations, *((job.state, *former) if job.irreplaceable else ()))


def fitting(texts: tuple[str, ...], rest: str) -> tuple[str, ...]:
    """Return as many of `texts` as a log line holds; `rest` says where the others are to be found."""
    room, shown = ROOM, 0
    while shown < len(texts) and len(texts[shown]) + 4 <= room and shown < MOST:
        room -= len(texts[shown]) + 4
        shown += 1
    left = len(texts) - shown
    return (*texts[:shown], f"and {left} more: {rest}") if left else texts
