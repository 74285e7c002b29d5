"""The destinations of a job that lack its newest token: why, and when each is tried again. The others are served.

Rules of this module:
- Destinations are reached side by side: one that hangs holds up no other.
- A cluster that is known to be away is not waited for; whoever waits for it wakes the job.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from refresher.charge import NONE, Charge, Identity
from refresher.core import backoff, outcome
from refresher.core.errors import StoreError, StoreRefusedError, StoreUnavailableError
from refresher.core.model import Location
from refresher.core.policy import Held, Trouble
from refresher.ports import Clock, Sink

_T = TypeVar("_T")


async def attempt(
    charge: Charge, places: Collection[Location], deed: Callable[[Location], Awaitable[_T]]
) -> tuple[Mapping[Location, _T], Mapping[Location, StoreError]]:
    """Do `deed` at each of `places`, side by side; return what it came to, and where it failed."""
    done: dict[Location, _T] = {}
    failed: dict[Location, StoreError] = {}
    if len(places) == 1 and not charge.shut:  # nearly always: nothing is to be set up
        (place,) = places
        try:
            return {place: await deed(place)}, failed
        except StoreError as error:
            return done, _away(charge, {place: error})

    async def one(place: Location) -> None:
        try:
            if place.cluster in charge.shut:
                raise StoreUnavailableError("away", f"{place}: its Vault is known to be away")
            done[place] = await deed(place)
        except StoreError as error:
            failed[place] = error

    try:
        async with asyncio.TaskGroup() as group:
            for place in places:
                group.create_task(one(place))
    except BaseExceptionGroup as bugs:
        raise bugs.exceptions[0] from None  # the walk's caller tells the type and the place of one
    return done, _away(charge, failed)


def _away(charge: Charge, failed: Mapping[Location, StoreError]) -> Mapping[Location, StoreError]:
    """Note which clusters did not answer, and return `failed`."""
    if failed:
        charge.away |= {place.cluster for place, error in failed.items() if isinstance(error, StoreUnavailableError)}
    return failed


def worst(failed: Mapping[Location, StoreError]) -> StoreError:
    """Return the error that a person must mend, where there is one, else that of a Vault that is away."""
    errors = tuple(failed.values())
    return next((one for one in errors if not isinstance(one, StoreUnavailableError)), errors[0])


def own(charge: Charge, place: Location) -> None:
    """Know that `place` is ours. Of who owns all that he writes, which nearly all do, it is his job's own tuple."""
    if place not in charge.known_ours:
        ours = (*charge.known_ours, place)
        charge.known_ours = charge.job.destinations if ours == charge.job.destinations else ours


def stand(charge: Charge, index: int, held: Held | None, version: int | None) -> None:
    """Note what stands at the destination of that `index`."""
    all_held, versions = list(charge.held or ()), list(charge.versions)
    all_held[index], versions[index] = held, version
    charge.held, charge.versions = tuple(all_held), _shared(tuple(versions))


@lru_cache(maxsize=1024)
def _shared(versions: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return versions  # most jobs stand at one of few versions: they take the memory of these


def vault_is_back(charge: Charge, now: datetime) -> None:
    """Let no trouble hold anything back that a Vault made which was away."""
    trouble = charge.trouble
    if trouble is not None and trouble.kind == "outage":
        charge.trouble = None
    elif trouble is not None and trouble.kind == "store":
        charge.retry_now()
    away = {place: replace(one, retry_at=now) for place, one in charge.behind.items() if one.kind == "outage"}
    charge.behind = {**charge.behind, **away} or NONE


class Behind:
    """Keeps the list of the destinations that are behind, and tells of each when its trouble begins and ends."""

    def __init__(self, *, clock: Clock, sink: Sink, identity: Identity) -> None:
        self._clock = clock
        self._sink = sink
        self._holder = identity.holder

    def note(self, charge: Charge, served: Collection[Location], failed: Mapping[Location, StoreError]) -> None:
        """Note that `served` are no longer behind, and that `failed` are, for the time being."""
        if not charge.behind and not failed:
            return
        behind = dict(charge.behind)
        for place in served:
            if (before := behind.pop(place, None)) is not None:
                for event in outcome.tell_caught_up(charge.job.name, place, before):
                    self._sink.tell(event)
        for place, error in failed.items():
            before = behind.get(place)
            behind[place] = after = self._trouble(charge, before, error)
            self._sink.tell(outcome.left_behind(charge.job.name, place, error, before, after))
        charge.behind = behind or NONE

    def _trouble(self, charge: Charge, before: Trouble | None, error: StoreError) -> Trouble:
        """One that is away is woken when it is back: the slow round is for the case that nobody is there to do so."""
        away = isinstance(error, StoreUnavailableError)
        return backoff.after_store(
            error.code,
            status=error.status,
            job=charge.job,
            before=before,
            now=charge.now(self._clock),
            holder=self._holder,
            refused=away or isinstance(error, StoreRefusedError),
            away=away,
        )
