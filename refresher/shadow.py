"""Shadow mode: a job that writes beside the owner of its paths, and compares what the owner keeps there with its own.

Rules of this module:
- It tells; it never steers: whatever is found at the owner's paths, or can't be read, changes nothing of the job.
- The owner's paths are only read.
"""

from collections.abc import Mapping

from refresher.behind import attempt
from refresher.charge import Charge, Identity
from refresher.core import policy, published, shadow
from refresher.core.fingerprint import fingerprint
from refresher.core.model import Absent, Found, Location
from refresher.core.shadow import Theirs
from refresher.ports import Clock, SecretStore, Sink


class Shadow:
    """Looks at the owner's paths of jobs in shadow mode."""

    def __init__(self, *, stores: Mapping[str, SecretStore], clock: Clock, sink: Sink, identity: Identity) -> None:
        self._stores = stores
        self._clock = clock
        self._sink = sink
        self._identity = identity

    async def compare(self, charge: Charge) -> None:
        """Read what stands at the owner's paths, note it in the charge, and tell of it where that is news."""
        job = charge.job
        if not job.observed or charge.held is None:
            return
        before = {one.place: one for one in charge.theirs}
        read, failed = await attempt(charge, job.observed, self._read)
        charge.theirs = tuple(
            self._seen(charge, place, read[place], before.get(place))
            if place in read
            else shadow.unread(place, failed[place], before.get(place))
            for place in job.observed
        )
        now = charge.now(self._clock)
        for one in charge.theirs:
            self._sink.tell(shadow.compared(job.name, one, charge.expires_at, now, before=before.get(one.place)))

    async def _read(self, place: Location) -> Found | Absent:
        return await self._stores[place.cluster].read(place)

    def _seen(self, charge: Charge, place: Location, secret: Found | Absent, before: Theirs | None) -> Theirs:
        job, instance = charge.job, self._identity.instance
        index = job.observed.index(place)
        mine = (charge.held or ())[index]
        names = job.fields_at(job.destinations[index])
        texts = () if isinstance(secret, Absent) else secret.data.values()
        return shadow.seen(
            place,
            secret,
            published.held_in(secret, job, instance, names),
            ours=mine,
            members=published.members(job, names) if mine is not None else frozenset(),
            same=any(fingerprint(self._identity.key, text) == charge.seen for text in texts),  # whatever its name is
            promised=None if mine is None else policy.promised(mine, job),
            before=before,
            now=charge.now(self._clock),
        )
