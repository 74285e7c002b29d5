"""Where in Vault a job writes, keeps its state record, and reads its secrets; and that no two of these meet.

Rules of this module:
- Two paths are the same when cluster address, namespace and the whole path (mount and all) are, however they are cut.
- The state record stands in the default cluster where the job writes there, else in the first of its clusters by name:
  the order in which destinations are listed moves nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from refresher.config import words
from refresher.config.draft import Draft
from refresher.config.job_tables import DestinationTable
from refresher.config.keys import Table
from refresher.config.mistakes import Findings, dotted
from refresher.config.models import VaultTable
from refresher.core.job import Job
from refresher.core.model import Location, Reference

Spot: TypeAlias = tuple[str, str, str]  # address, namespace, whole path
Named: TypeAlias = tuple[str, Location]  # the key that names a destination, and the destination
Keyed: TypeAlias = tuple[tuple[str, ...], tuple[Location, ...]]  # all keys, and all destinations
PATH: Final = ("path",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The clusters as their tables state them (`""`: the default one), by name, and this instance's name.

    `addresses` are those that are known; `unread` are clusters whose table stands there and could not be read.
    """

    clusters: Mapping[str, VaultTable]
    addresses: Mapping[str, str]
    unread: frozenset[str]
    instance: str

    def destinations(self, draft: Draft) -> Keyed:
        """Return what the job writes, telling what is missing or unknown."""
        if draft.unsure("path", "destinations"):
            return (), ()
        match draft.chosen("path", "destinations"):
            case {"path": path, "destinations": _}:
                draft.wrong("path", "stands beside destinations: write one of the two")
            case {"path": path}:
                return PATH, (Location(mount=self._table("").mount, path=path),)
            case {"destinations": []}:
                draft.wrong("destinations", "names no path")
            case {"destinations": tables}:
                named = tuple(self._several(draft, tables))
                return tuple(key for key, _ in named), tuple(place for _, place in named)
            case _:
                draft.wrong("path", f'is required: where readers find the token, e.g. "tokens/{draft.name}"')
        return (), ()

    def _several(self, draft: Draft, tables: list[DestinationTable]) -> Iterable[Named]:
        for number, table in enumerate(tables):
            key = f"destinations[{number}]"
            if table.path is None:
                draft.wrong(f"{key}.path", "is required")
            elif self._known(draft, f"{key}.cluster", table.cluster):
                mount = table.mount or self._table(table.cluster).mount
                yield key, Location(cluster=table.cluster, mount=mount, path=table.path)

    def states(self, draft: Draft, destinations: tuple[Location, ...]) -> Location:
        """Return the folder where the job's state record stands."""
        cluster = min((each.cluster for each in destinations), default="")
        table = self._table(cluster)
        path = f"{table.state_path}/{self.instance}"
        if len(f"{path}/{draft.name}") > words.LONGEST:
            draft.wrong(
                "", f"its state record's path, {table.state_path}/..., is longer than {words.LONGEST} characters"
            )
        return _folder(cluster, table.state_mount or table.mount, path)

    def references(self, draft: Draft) -> None:
        """Tell what is odd about the job's references to secrets."""
        kept = ((key, value) for key, value in draft.both.items() if type(value) is not str)  # most are
        for where, found in (each for key, value in kept for each in _references(key, value)):
            if found.kind == "vault":
                self._known(draft, where, found.cluster)
                if found.target.split("/")[1] == "data":
                    draft.odd(where, 'a vault reference is written without "data/", as the vault CLI takes it')

    def _known(self, draft: Draft, key: str, cluster: str) -> bool:
        if cluster in self.clusters or cluster in self.unread:
            return True
        names = [name for name in self.clusters if name]
        draft.wrong(key, f"names a cluster that has no table [clusters.NAME]{words.hint(cluster, names)}")
        return False

    def _table(self, cluster: str) -> VaultTable:
        return self.clusters.get(cluster) or VaultTable()

    def spot(self, place: Location) -> Spot:
        """Return where `place` is, whatever it is called."""
        return self._spot(place.cluster, f"{place.mount}/{place.path}")

    def read_at(self, reference: Reference) -> Spot:
        """Return where the secret stands that `reference`, one into Vault, names."""
        return self._spot(reference.cluster, reference.target)

    def _spot(self, cluster: str, path: str) -> Spot:
        return self.addresses.get(cluster, cluster).lower(), self._table(cluster).namespace, path

    def clashes(self, jobs: Iterable[tuple[Draft, Iterable[Named]]]) -> Collection[Spot]:
        """Tell each destination that is written already, or that stands where state records do; return them all."""
        taken: dict[Spot, Draft] = {}
        roots = {
            self.spot(Location(cluster=name, mount=table.state_mount or table.mount, path=table.state_path))
            for name, table in self.clusters.items()
        }
        for draft, destinations in jobs:
            for key, place in destinations:
                spot = self.spot(place)
                if spot in taken:
                    draft.wrong(key, f"{named_in(taken[spot], draft)} writes this path already")
                taken.setdefault(spot, draft)
                if not roots.isdisjoint(_upwards(spot)):
                    draft.wrong(key, "stands under state_path, among refresh tokens that no reader may see")
        return taken.keys()

    def shared_mounts(self, jobs: Iterable[Job], findings: Findings, file: str) -> None:
        """Warn of each cluster where a reader's policy over the whole mount would show it refresh tokens."""
        mounts: dict[str, set[str]] = {}
        for job in jobs:
            for place in job.destinations:
                mounts.setdefault(place.cluster, set()).add(place.mount)
        kept = {(job.states.cluster, job.states.mount) for job in jobs if job.irreplaceable}
        for cluster, mount in sorted(kept):
            if mount in mounts.get(cluster, ()):
                findings.odd(
                    file,
                    dotted("clusters", cluster) if cluster else "vault",
                    "state_mount",
                    f'refresh tokens stand in the mount that readers read: a policy on "{mount}/data/*" shows them; '
                    "give them a mount of their own, or readers a policy on their paths alone",
                )


@lru_cache(maxsize=64)
def _folder(cluster: str, mount: str, path: str) -> Location:
    return Location(cluster=cluster, mount=mount, path=path)  # one for all its jobs


def _references(key: str, value: object) -> Iterator[tuple[str, Reference]]:
    """Yield the references in a key's value, whatever its shape, and the names of their places."""
    match value:
        case Reference():
            yield key, value
        case (str(name), Reference() as inner):
            yield f"{key}.{name}", inner
        case tuple():
            for inner in value:
                yield from _references(key, inner)
        case Table():
            for name, inner in value.said().items():
                yield from _references(f"{key}.{name}", inner)
        case _:
            pass


def named_in(other: Draft, draft: Draft) -> str:
    """Return how a mistake of `draft` calls the job `other`."""
    if other is draft:
        return "the job itself"
    return f"[{dotted('jobs', other.name)}]" + ("" if other.file == draft.file else f" in {other.file}")


def _upwards(spot: Spot) -> Iterable[Spot]:
    address, namespace, path = spot
    parts = path.split("/")
    return ((address, namespace, "/".join(parts[:end])) for end in range(1, len(parts) + 1))
