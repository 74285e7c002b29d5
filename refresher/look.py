"""Look: what stands at a job's destinations, and in its state record."""

from collections.abc import Mapping

from refresher.behind import Behind, attempt, own, stand, worst
from refresher.charge import Charge, Identity
from refresher.core import fields, outcome, published
from refresher.core.errors import StoreUnavailableError
from refresher.core.fingerprint import fingerprint
from refresher.core.model import Absent, Found, Location
from refresher.core.policy import Held
from refresher.ports import Calendar, Clock, SecretStore, Sink


class Look:
    """Reads the facts of a job from Vault into its charge."""

    def __init__(  # noqa: PLR0913  # the ports of the design
        self,
        *,
        stores: Mapping[str, SecretStore],
        clock: Clock,
        sink: Sink,
        identity: Identity,
        calendar: Calendar | None,
        behind: Behind,
    ) -> None:
        self._stores = stores
        self._behind = behind
        self._clock = clock
        self._sink = sink
        self._identity = identity
        self._calendar = calendar

    async def at(self, charge: Charge) -> None:
        """Read what stands at the destinations, and the state record where the job has one.

        Raises StoreError where none can be read, or the record can't; a destination that can't is behind the others.
        """
        job, before, blind = charge.job, charge.held, charge.blind
        charge.blind = True
        read, failed = await attempt(charge, job.destinations, self._read)
        if not read:
            raise worst(failed)
        if job.irreplaceable:
            charge.record = published.record_of(await self._state(charge))
        charge.blind = False
        if charge.held is None:
            charge.held = charge.versions = (None,) * len(job.destinations)
        for place, secret in read.items():
            self._take(charge, job.destinations.index(place), secret)
        self._behind.note(charge, read if charge.owed is None else (), failed)
        self.note_calendar(charge)
        if before is not None and before != charge.held:
            charge.warned, charge.hint = "", None
            self._tell_strangers(charge, before)
        if blind and charge.trouble is not None and charge.trouble.kind in ("store", "outage"):
            for event in outcome.tell_recovered(job.name, charge.trouble):
                self._sink.tell(event)
            charge.trouble = None

    async def at_one(self, charge: Charge, index: int) -> Held | None:
        """Read what stands at the destination of that `index`, and return it. Raises StoreError."""
        before = charge.held or ()
        self._take(charge, index, await self._read(charge.job.destinations[index]))
        self._tell_strangers(charge, before)
        return (charge.held or ())[index]

    async def _read(self, place: Location) -> Found | Absent:
        return await self._stores[place.cluster].read(place)

    async def _state(self, charge: Charge) -> Found | Absent:
        place = charge.job.state
        try:
            return await self._read(place)
        except StoreUnavailableError:
            charge.away |= {place.cluster}
            raise

    def _take(self, charge: Charge, index: int, secret: Found | Absent) -> None:
        job, instance = charge.job, self._identity.instance
        names = job.fields_at(job.destinations[index])
        held = published.held_in(secret, job, instance, names)
        held = published.by_our_clock(held, secret, charge.now(self._clock))
        stand(charge, index, held, secret.version)
        if published.owned(secret, job, instance):
            own(charge, job.destinations[index])
        token = fields.token_in(secret.data, names) if index == 0 and isinstance(secret, Found) else None
        if token is not None:
            charge.seen = fingerprint(self._identity.key, token)

    def _tell_strangers(self, charge: Charge, before: tuple[Held | None, ...]) -> None:
        for place, old, new in zip(charge.job.destinations, before, charge.held or (), strict=True):
            if place not in charge.known_ours or new == old:
                continue
            if new is not None and not new.ours:
                self._sink.tell(outcome.foreign_change(charge.job.name, place, new))
            elif new is None and old is not None and not old.is_over(charge.now(self._clock)):
                self._sink.tell(outcome.deleted(charge.job.name, place))

    def note_calendar(self, charge: Charge) -> None:
        """Note when the job's calendar comes round after the oldest token that stands was issued."""
        times = charge.job.times
        if not times.schedule or self._calendar is None:
            return
        issued = [held.issued_at for held in charge.held or () if held is not None and held.issued_at is not None]
        if issued:
            charge.scheduled = self._calendar.after(times.schedule, times.timezone, min(issued))
