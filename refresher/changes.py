"""What another jobs.toml would change, before it is taken over: offline, from the two files alone.

Rules of this module:
- What a reload would do is asked of what does it: the same doubts, the same orphans, the same idea of another token.
- Nothing is read but the two files: no secret, no Vault, no state directory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, TypeAlias

from refresher import reload
from refresher.core import rights
from refresher.core.job import Job, asked_for
from refresher.core.model import Location
from refresher.core.settings import Settings

Kind: TypeAlias = Literal["added", "removed", "renamed", "changed", "orphaned", "rights", "restart", "doubt"]
QUIET: Final = frozenset({"name", "destinations", "state", "moved_from"})  # told by words of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`name`: a job; for `orphaned` a Vault path, for `rights` a policy, for `restart` a setting.

    `fetches`: a token is asked for at once. `paths`: where readers find it, where that is new. `keys`: what differs.
    `text`: a sentence for people, of a doubt or a right.
    """

    kind: Kind
    name: str
    fetches: bool = False
    paths: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    text: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the object that `plan --diff --json` prints."""
        return {
            "change": self.kind,
            "name": self.name,
            "fetches": self.fetches,
            "paths": list(self.paths),
            "keys": list(self.keys),
            "text": self.text,
        }


def between(old: Settings, new: Settings) -> tuple[Change, ...]:
    """Return what `new` changes, in the order in which a person wants to know it."""
    return (*_doubts(old, new), *_jobs(old, new), *_orphans(old, new), *_rights(old, new), *_restarts(old, new))


def _doubts(old: Settings, new: Settings) -> Iterator[Change]:
    if new.instance != old.instance:
        yield Change(kind="doubt", name="instance", text="another instance keeps other paths: it takes a restart")
    for doubt in reload.doubts(old, new):
        yield Change(kind="doubt", name=f"[{doubt.table}]" if doubt.table else doubt.key, text=doubt.message)


def _jobs(old: Settings, new: Settings) -> Iterator[Change]:
    heirs = {job.moved_from: job for job in new.jobs.values() if job.moved_from in old.jobs}
    for name, job in new.jobs.items():
        before = old.jobs.get(name) or old.jobs.get(job.moved_from)
        if before is None:
            yield Change(kind="added", name=name, fetches=True, paths=_texts(job.destinations))
        elif before.name != name:
            yield replace(_changed(before, job, old, new), kind="renamed", text=before.name)
        elif before != job or _moved(before, old, new):
            yield _changed(before, job, old, new)
    for name in old.jobs.keys() - new.jobs.keys() - heirs.keys():
        yield Change(kind="removed", name=name)


def _changed(before: Job, job: Job, old: Settings, new: Settings) -> Change:
    places = {_spot(place, old) for place in before.destinations}
    added = tuple(place for place in job.destinations if _spot(place, new) not in places)
    keys = tuple(one.name for one in fields(Job) if getattr(before, one.name) != getattr(job, one.name))
    return Change(
        kind="changed",
        name=job.name,
        fetches=bool(added) or asked_for(before) != asked_for(job),
        paths=_texts(added),
        keys=tuple(key for key in keys if key not in QUIET),
    )


def _moved(job: Job, old: Settings, new: Settings) -> bool:
    """Whether a cluster that it writes to is another one than before, though it has the same name."""
    return any(_spot(place, old) != _spot(place, new) for place in job.destinations)


def _spot(place: Location, settings: Settings) -> tuple[str, str, str]:
    cluster = settings.clusters[place.cluster]
    return cluster.address, cluster.namespace, f"{place.mount}/{place.path}"


def _orphans(old: Settings, new: Settings) -> Iterator[Change]:
    for place in reload.orphaned(old.jobs.values(), new.jobs.values()):
        yield Change(kind="orphaned", name=place, text="nobody renews what stands there any more")


def _rights(old: Settings, new: Settings) -> Iterator[Change]:
    """Yield what the policies must allow before the file is taken over; what they need no more can wait."""
    known = {(policy.cluster, policy.name): policy.rules for policy in rights.policies(old, {})}
    for policy in rights.policies(new, {}):
        before = known.get((policy.cluster, policy.name), {})
        for path, needed in policy.rules.items():
            if missing := [right for right in needed if right not in before.get(path, ())]:
                where = f" of cluster {policy.cluster}" if policy.cluster else ""
                yield Change(kind="rights", name=policy.name + where, text=f"{', '.join(missing)} on {path}")


def _restarts(old: Settings, new: Settings) -> Iterator[Change]:
    for name in reload.FIXED:
        if getattr(old, name) != getattr(new, name):
            yield Change(kind="restart", name=name, text="counts from the next start on")


def _texts(places: Iterable[Location]) -> tuple[str, ...]:
    return tuple(map(str, places))
