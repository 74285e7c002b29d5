"""What readers find: each path read as a reader does, with a reader's rights.

Rules of this module:
- Nothing is needed but to read the paths: no state directory, no ledger, no right to look, write or list.
- Whatever Vault does, there is an answer for each path, within DEADLINE.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from refresher.channels import Channels
from refresher.core.errors import RefresherError
from refresher.core.model import Location
from refresher.core.reading import Expected, Reading, judged
from refresher.core.settings import Cluster
from refresher.host.clock import SystemClock
from refresher.host.credentials import LocalReferences
from refresher.vault import Vault, connect

REQUEST: Final = timedelta(seconds=5)
DEADLINE: Final = timedelta(seconds=20)  # of all: a plugin is given a minute at most
AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path to look at: a `place`, or a `target` (mount and path) whose mount is to be found; and what it is held to.

    `name` is unlike those of the others.
    """

    name: str
    cluster: str = ""
    place: Location | None = None
    target: str = ""
    expected: Expected

    @property
    def where(self) -> str:
        """The path in words."""
        cluster = f"{self.cluster}:" if self.cluster else ""
        return f"{cluster}{self.target}" if self.place is None else str(self.place)


async def read(clusters: Mapping[str, Cluster], paths: Sequence[Path]) -> tuple[Reading, ...]:
    """Return what a reader finds at each of `paths`, in their order."""
    found: dict[str, Reading] = {}
    try:
        async with asyncio.timeout(DEADLINE.total_seconds()), AsyncExitStack() as stack:
            slots = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for name in {path.cluster for path in paths}:
                    its = [path for path in paths if path.cluster == name]
                    group.create_task(_cluster(clusters[name], its, found, slots, stack))
    except TimeoutError:
        pass  # what is missing is told below
    late = f"no answer within {DEADLINE.total_seconds():.0f} s"
    return tuple(found.get(path.name) or _unknown(path, late) for path in paths)


async def _cluster(
    cluster: Cluster,
    paths: Sequence[Path],
    found: dict[str, Reading],
    slots: asyncio.Semaphore,
    stack: AsyncExitStack,
) -> None:
    """Look at the paths of one cluster, after one login."""
    clock = SystemClock()
    try:
        wire = Channels(deadline=REQUEST, keepalive=timedelta(seconds=60), clock=clock, usual=cluster.channel)
        stack.push_async_callback(wire.aclose)
        store = connect(cluster, wire, clock, LocalReferences())
        stack.push_async_callback(store.aclose)
        await store.login()
    except RefresherError as error:
        found |= {path.name: _unknown(path, str(error)) for path in paths}
        return

    async def look(path: Path) -> None:
        async with slots:
            found[path.name] = await _reading(store, path, clock)

    async with asyncio.TaskGroup() as group:
        for path in paths:
            group.create_task(look(path))


async def _reading(store: Vault, path: Path, clock: SystemClock) -> Reading:
    try:
        place = path.place or await store.locate(path.target)
        secret = await store.read(place)
    except RefresherError as error:
        return _unknown(path, str(error))
    return judged(path.name, path.where, secret, path.expected, clock.now())


def _unknown(path: Path, why: str) -> Reading:
    return Reading(name=path.name, path=path.where, state="unknown", why=why)
