"""A path is handed back: what readers find stays as it is, without the mark that says that refresher keeps it.

Rules of this module:
- Nothing is written but by check-and-set: who writes meanwhile is not overwritten, what they wrote is looked at.
- What bears no mark of ours is left alone.
- The state record stays: a refresh token in it can't be had again.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from refresher.charge import Charge, Identity
from refresher.core import outcome, published
from refresher.core.errors import StoreConflictError, StoreError, StoreUnavailableError
from refresher.core.model import Found, Location
from refresher.core.outcome import Outcome
from refresher.endings import close
from refresher.ports import Clock, SecretStore

TRIES: Final = 3  # of one write that others overtake


class Handback:
    """Hands the paths of a job back."""

    def __init__(self, *, stores: Mapping[str, SecretStore], clock: Clock, identity: Identity) -> None:
        self._stores = stores
        self._clock = clock
        self._instance = identity.instance

    async def of(self, charge: Charge) -> Outcome:
        """Take the mark from each destination of `charge`; one that failed is to be asked for again."""
        try:
            versions = [await self._unmark(charge, place) for place in charge.job.destinations]
        except StoreError as error:
            ended = outcome.declined(charge.job, "released", charge.versions)
            away, status = isinstance(error, StoreUnavailableError), error.status or None
            ended = replace(ended, outcome="store_failed", error=error.code, http_status=status, store_down=away)
            return close(charge, ended, self._clock)
        standing = charge.held or (None,) * len(versions)
        charge.held = tuple(
            one if one is None else replace(one, version=version, ours=False)
            for one, version in zip(standing, versions, strict=True)
        )
        charge.versions, charge.known_ours, charge.shadowed = tuple(versions), (), frozenset()
        return close(charge, outcome.declined(charge.job, "released", charge.versions), self._clock)

    async def _unmark(self, charge: Charge, place: Location) -> int | None:
        """Write what stands at `place` without its mark; return the version that stands there then."""
        store, job = self._stores[place.cluster], charge.job
        for _ in range(TRIES):
            secret = await store.read(place)
            if not isinstance(secret, Found) or not published.marked(secret.data, job, self._instance):
                return secret.version
            bare = {name: text for name, text in secret.data.items() if name not in published.MARK}
            try:
                return (await store.write(place, bare, cas=secret.version)).version
            except StoreConflictError:
                continue
        raise StoreConflictError("cas", f"{place}: somebody else keeps writing there")
