"""That no token takes the place of a secret that a job reads: a destination is written whole.

Rules of this module:
- What a job reads in a field that another one publishes there is that one's token, and is meant to be read.
- Jobs with a mistake are left out: theirs come first.
"""

from collections.abc import Collection, Iterable

from refresher.config.jobs import Built
from refresher.config.places import Places, Spot, named_in
from refresher.core import fields
from refresher.core.job import Job
from refresher.core.model import Location, Reference


def check(outcomes: Collection[Built], places: Places, written: Collection[Spot]) -> None:
    """Tell each destination, all of which are `written`, at which a job reads a secret."""
    read: dict[Spot, dict[str, tuple[Built, str]]] = {}  # by place and field: the first that reads it, and its key
    for built in outcomes:
        for key, reference in _secrets(built):
            if (spot := places.read_at(reference)) in written:
                read.setdefault(spot, {}).setdefault(reference.field, (built, key))
    if not read:
        return
    for built in outcomes:
        for key, place in built.destinations:
            found = read.get(places.spot(place))
            if found and built.job is not None:
                _tell(built, built.job, key, place, found)


def _secrets(built: Built) -> Iterable[tuple[str, Reference]]:
    if built.job is None:
        return ()
    return ((key, found) for key, found in built.job.references().items() if found.kind == "vault")


def _tell(built: Built, job: Job, key: str, place: Location, read: dict[str, tuple[Built, str]]) -> None:
    published = _names(job, place)
    for field, (reader, what) in read.items():
        if reader is built or field not in published:
            what = "client_secret" if what == "next_client_secret" else what  # noqa: PLW2901  # as the file has it
            who = named_in(reader.draft, built.draft)
            built.draft.wrong(key, f"{who} reads its {what} here, which a token would take the place of: name another")
            return


def _names(job: Job, place: Location) -> set[str]:
    """Return the names under which readers may find something at `place`."""
    laid_out = job.fields_at(place)
    return {*fields.OWN, *(name for name, _ in laid_out)} if laid_out else {*fields.MEMBERS, *job.keep}
