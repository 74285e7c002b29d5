"""The least rights that a configuration needs in Vault: one policy for refresher, and one for each job's readers. Pure.

Rules of this module:
- Whole paths, no wildcard but AppRole's look-up of a secret ID, which nobody can use without knowing that.
- No right on metadata, none to list, to delete, to make tokens or secret IDs: the walk needs none of it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from refresher.core.job import Job
from refresher.core.model import Location, Reference
from refresher.core.settings import Cluster, Settings

ORDER: Final = ("create", "update", "read")
KEEP: Final = ("create", "update", "read")  # a first write, the next ones, a look at what stands there
EMPTY: Final = ("update", "read")
MAKE: Final = ("create", "read")
READ: Final = ("read",)
USE: Final = ("update",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy of a cluster (`""`: the default one): its name, and what it allows on each path."""

    cluster: str
    name: str
    rules: Mapping[str, tuple[str, ...]]

    def hcl(self) -> str:
        """Return it as Vault takes it."""
        lines = (f'path "{path}" {{ capabilities = [{_quoted(rights)}] }}' for path, rights in self.rules.items())
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Mounts:
    """The KV mounts of a cluster and their versions, as far as they are known; one that is not is of version 2.

    A reference is cut at the longest of them, else at its first slash.
    """

    versions: Mapping[str, int] = field(default_factory=dict)

    def locate(self, target: str) -> tuple[str, str]:
        known = [mount for mount in self.versions if target.startswith(f"{mount}/")]
        mount = max(known, key=len, default=target.partition("/")[0])
        return mount, target.removeprefix(f"{mount}/")

    def data(self, mount: str, path: str) -> str:
        """Return the API's path of a secret's data."""
        return f"{mount}/{path}" if self.versions.get(mount) == 1 else f"{mount}/data/{path}"


def name_of(settings: Settings) -> str:
    """Return the name of refresher's own policy, and of its AppRole."""
    return "refresher" if settings.instance == "default" else _name(f"refresher-{settings.instance}")


def reader_of(settings: Settings, job: Job) -> str:
    """Return the name of the policy for those who read the tokens of `job`."""
    return _name(f"{name_of(settings)}-read-{job.name}")


def used_mounts(settings: Settings, cluster: str) -> tuple[str, ...]:
    """Return the KV mounts of a cluster that jobs write to."""
    return tuple(sorted({place.mount for job in settings.jobs.values() for place in _written(job, cluster)}))


def references(settings: Settings, cluster: str) -> tuple[str, ...]:
    """Return the targets of the references into a cluster."""
    found = (one for job in settings.jobs.values() for one in job.references().values())
    return tuple(sorted({one.target for one in found if _leads_to(one, cluster)}))


def used_clusters(settings: Settings) -> tuple[str, ...]:
    """Return the names of the clusters that jobs write to or read from."""
    jobs = settings.jobs.values()
    read = {one.cluster for job in jobs for one in job.references().values() if one.kind == "vault"}
    return tuple(sorted({place.cluster for job in jobs for place in (*job.destinations, job.states)} | read))


def policies(settings: Settings, mounts: Mapping[str, Mounts]) -> tuple[Policy, ...]:
    """Return the policies of every cluster that jobs use; `mounts` by cluster, an absent one is all of version 2."""
    return tuple(
        policy
        for name in used_clusters(settings)
        for policy in _of(settings, settings.clusters[name], mounts.get(name) or assumed(settings, name))
    )


def assumed(settings: Settings, cluster: str) -> Mounts:
    """Return what jobs.toml alone tells of a cluster's mounts."""
    return Mounts(dict.fromkeys((settings.clusters[cluster].mount, *used_mounts(settings, cluster)), 2))


def _of(settings: Settings, cluster: Cluster, mounts: Mounts) -> Iterator[Policy]:
    rules: dict[str, tuple[str, ...]] = {}
    for path, needed in (*_data(settings, cluster, mounts), *_login(settings, cluster, mounts)):
        both = {*rules.get(path, ()), *needed}
        rules[path] = tuple(one for one in ORDER if one in both)
    yield Policy(cluster=cluster.name, name=name_of(settings), rules=rules)
    for job in settings.jobs.values():
        places = [place for place in job.destinations if place.cluster == cluster.name]
        if places:
            read = {mounts.data(place.mount, place.path): READ for place in places}
            yield Policy(cluster=cluster.name, name=reader_of(settings, job), rules=read)


def _data(settings: Settings, cluster: Cluster, mounts: Mounts) -> Iterator[tuple[str, tuple[str, ...]]]:
    for job in settings.jobs.values():
        for place in _written(job, cluster.name):
            yield mounts.data(place.mount, place.path), KEEP
        for place in job.observed:
            if place.cluster == cluster.name:
                yield mounts.data(place.mount, place.path), READ
        if (job.irreplaceable or settings.postgres is not None) and job.states.cluster == cluster.name:
            if job.irreplaceable and job.moved_from:
                yield mounts.data(job.states.mount, job.former.state.path), EMPTY
            yield mounts.data(job.states.mount, f"{job.states.path}.journal"), MAKE
    for target in references(settings, cluster.name):
        yield mounts.data(*mounts.locate(target)), READ


def _login(settings: Settings, cluster: Cluster, mounts: Mounts) -> Iterator[tuple[str, tuple[str, ...]]]:
    if any(mounts.versions.get(mount) == 1 for mount in used_mounts(settings, cluster.name)):
        yield "sys/capabilities-self", USE  # KV v1 has no check-and-set to prove a path with
    yield "auth/token/renew-self", USE
    if cluster.auth.method == "token":
        yield "auth/token/lookup-self", READ  # how long it lives; a login says so by itself
    else:
        yield "auth/token/revoke-self", USE
    if cluster.auth.method == "approle":
        yield f"auth/{cluster.auth.mount}/role/+/secret-id/lookup", USE


def _written(job: Job, cluster: str) -> Iterator[Location]:
    for place in (*job.destinations, job.state):  # any answer may bring a refresh token, which is kept there
        if place.cluster == cluster:
            yield place


def _leads_to(reference: Reference, cluster: str) -> bool:
    return reference.kind == "vault" and reference.cluster == cluster


def _name(text: str) -> str:
    """Return a policy's name: Vault makes them lower case, and two jobs must not share one."""
    name = text.lower().replace("/", "-")
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _quoted(rights: tuple[str, ...]) -> str:
    return ", ".join(f'"{right}"' for right in rights)
