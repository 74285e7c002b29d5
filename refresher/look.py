"""Look: what stands at a job's destinations, and in its state record."""

from collections.abc import Mapping

from refresher.charge import Charge, Identity
from refresher.core import outcome, published
from refresher.core.fingerprint import fingerprint
from refresher.core.model import Found
from refresher.core.policy import Held
from refresher.ports import Calendar, Clock, SecretStore, Sink


class Look:
    """Reads the facts of a job from Vault into its charge."""

    def __init__(
        self,
        *,
        stores: Mapping[str, SecretStore],
        clock: Clock,
        sink: Sink,
        identity: Identity,
        calendar: Calendar | None,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._sink = sink
        self._identity = identity
        self._calendar = calendar

    async def at(self, charge: Charge) -> None:
        """Read what stands at the destinations, and the state record where the job has one. Raises StoreError."""
        job, before, blind = charge.job, charge.held, charge.blind
        charge.blind = True
        secrets = [await self._stores[place.cluster].read(place) for place in job.destinations]
        if job.irreplaceable:
            charge.record = published.record_of(await self._stores[job.state.cluster].read(job.state))
        charge.blind = False
        now, instance = charge.now(self._clock), self._identity.instance
        held = ((published.held_in(secret, job, instance), secret) for secret in secrets)
        charge.held = tuple(published.by_our_clock(one, secret, now) for one, secret in held)
        charge.versions = tuple(secret.version for secret in secrets)
        standing = list(zip(job.destinations, secrets, strict=True))
        charge.known_ours |= {place for place, one in standing if published.owned(one, job, self._identity.instance)}
        first = secrets[0]
        if isinstance(first, Found) and "access_token" in first.data:
            charge.seen = fingerprint(self._identity.key, first.data["access_token"])
        self.note_calendar(charge)
        if before is not None and before != charge.held:
            charge.warned = ""
            self._tell_strangers(charge, before)
        if blind and charge.trouble is not None and charge.trouble.kind in ("store", "outage"):
            for event in outcome.tell_recovered(job.name, charge.trouble):
                self._sink.tell(event)
            charge.trouble = None

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
        issued = [held.issued_at for held in charge.held or () if held is not None and held.issued_at is not None]
        if times.schedule and issued and self._calendar is not None:
            charge.scheduled = self._calendar.after(times.schedule, times.timezone, min(issued))
