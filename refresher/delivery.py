"""Write: a token to a job's destinations, by check-and-set, each for itself.

Rules of this module:
- One token, and each destination gets it: what fails at one is that one's trouble, and is tried again with this token.
- A stranger's secret that came in between is not written over: it is honoured until it ends. So is one at a path while
  another of the job comes due, unless a person has it written.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from refresher.behind import Behind, attempt, own, stand, worst
from refresher.charge import Charge, Identity
from refresher.core import due, fields, published
from refresher.core.errors import StoreConflictError
from refresher.core.model import Location, Token, Written
from refresher.core.policy import Held
from refresher.deletions import Deletions
from refresher.look import Look
from refresher.ports import SecretStore, Sink

TRIES: Final = 3  # of one write that others overtake
End: TypeAlias = Literal["written", "newer", "foreign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of a delivery, by destination: `newer` and `foreign` are what somebody else wrote in between."""

    ends: Mapping[Location, End]

    @property
    def places(self) -> tuple[Location, ...]:
        """Where it was written."""
        return tuple(place for place, end in self.ends.items() if end == "written")

    def had(self, end: End) -> bool:
        return end in self.ends.values()


class Delivery:
    """Brings tokens to Vault."""

    def __init__(
        self,
        *,
        stores: Mapping[str, SecretStore],
        look: Look,
        behind: Behind,
        sink: Sink,
        identity: Identity,
    ) -> None:
        self._stores = stores
        self._look = look
        self._behind = behind
        self._deletions = Deletions(sink)
        self._instance = identity.instance

    async def deliver(
        self, charge: Charge, token: Token, places: Collection[Location], *, forced: bool = False
    ) -> Delivered:
        """Write `token` to `places`; raise the StoreError of one where no destination of the job is served by it."""
        ends, failed = await attempt(charge, places, lambda place: self._one(charge, place, token, forced=forced))
        if failed and not ends and len(failed) == len(charge.job.destinations):
            raise worst(failed)
        self._behind.note(charge, ends, failed)
        return Delivered(ends=ends)

    async def _one(self, charge: Charge, place: Location, token: Token, *, forced: bool) -> End:
        index = charge.job.destinations.index(place)
        if not forced and _is_honoured(charge, index, token):
            return "foreign"
        data = fields.laid_out(published.data_of(token, charge.job, self._instance), charge.job.fields_at(place))
        if place in charge.behind and (end := await self._overtaken(charge, index, token)) is not None:
            return end  # somebody else served it meanwhile, or an earlier try landed
        for _ in range(TRIES):
            try:
                written = await self._stores[place.cluster].write(place, data, cas=charge.versions[index])
            except StoreConflictError:
                if (end := await self._overtaken(charge, index, token)) is not None:
                    return end
            else:
                self._note(charge, index, token, written)
                return "written"
        raise StoreConflictError("cas", f"{place}: somebody else keeps writing there")

    def _note(self, charge: Charge, index: int, token: Token, written: Written) -> None:
        place, ends, deleted = (
            charge.job.destinations[index],
            published.expiry(token, charge.job),
            written.deletion_time,
        )
        early = None if deleted is None or (ends is not None and ends <= deleted) else deleted.replace(microsecond=0)
        self._deletions.noted(charge.job, place, early)
        ends = early or ends
        held = Held(version=written.version, issued_at=token.issued_at.replace(microsecond=0), expires_at=ends)
        stand(charge, index, held, written.version)
        own(charge, place)

    async def _overtaken(self, charge: Charge, index: int, token: Token) -> End | None:
        """Look who wrote in between. None: write over it, since it is gone, or ours and older."""
        before = (charge.held or ())[index]
        now = await self._look.at_one(charge, index)
        if now is None:
            return None
        if not now.ours:
            return None if before is not None and now == before else "foreign"
        newer = now.issued_at is not None and now.issued_at >= token.issued_at.replace(microsecond=0)
        return "newer" if newer else None


def _is_honoured(charge: Charge, index: int, token: Token) -> bool:
    """Whether a stranger's secret at one of several paths has some time to live still: that path's own time comes."""
    held = (charge.held or ())[index] if len(charge.job.destinations) > 1 else None
    if held is None or held.ours or held.expires_at is None:
        return False
    return held.expires_at - due.STRANGER_LEAD > token.issued_at
