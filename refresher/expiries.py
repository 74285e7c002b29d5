"""What comes to an end besides tokens, looked at again and again, and told of before it does.

Rules of this module:
- What is read is the thing itself: a certificate's own dates, Vault's look-up of the login, what the provider stated.
- Each warning is told once, after a restart too: the last one is kept in the state directory. What is limited in its
  uses, or gone, is told of once a day.
- What can't be read is nobody's expiry: who needs it tells of its trouble. What is known of it stays.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from refresher import tls
from refresher.charge import Charge
from refresher.core import perishable
from refresher.core.errors import StoreError, UnreadableReferenceError
from refresher.core.events import Event, Field
from refresher.core.job import Job
from refresher.core.model import Reference
from refresher.core.perishable import JobWhat, Perishable
from refresher.core.published import stamp
from refresher.ports import Clock, References, Sink
from refresher.roster import Roster

EVERY: Final = timedelta(minutes=5)
AGAIN: Final = timedelta(days=1)
HELPING: Final = 200
NAME: Final = "warnings"


class Store(Protocol):
    """What is asked of a cluster."""

    async def perishable(self) -> Perishable | None:
        """Tell when what we log in with runs out. Raises StoreError."""


class Shelf(Protocol):
    """Where texts are kept by name, for the next process."""

    def read(self, name: str) -> Mapping[str, str]:
        """Return what was kept. Raises StoreError."""

    def write(self, name: str, members: Mapping[str, str]) -> None:
        """Keep it. Raises StoreError."""


class Expiries:
    """Watches over a roster and the logins of clusters. `logins` has what was found of those, by cluster."""

    def __init__(  # noqa: PLR0913  # what there is to look at
        self,
        roster: Roster,
        stores: Callable[[], Mapping[str, Store]],
        *,
        references: References,
        shelf: Shelf,
        clock: Clock,
        sink: Sink,
    ) -> None:
        self.logins: dict[str, Perishable] = {}
        self._roster = roster
        self._stores = stores
        self._references = references
        self._shelf = shelf
        self._clock = clock
        self._sink = sink
        self._warned: dict[str, str] | None = None  # "END SECONDS" of the last warning, by what it was about
        self._told: dict[tuple[str, Perishable], datetime] = {}

    async def watch(self) -> None:
        """Look at once and every five minutes, for ever."""
        while True:
            await self.look()
            await self._clock.sleep(EVERY)

    async def look(self) -> None:
        """Look at everything once, and tell of what is to be told."""
        if self._warned is None:
            self._warned = await asyncio.to_thread(self._recalled)
        before, seen = dict(self._warned), set[str]()
        await self._look_at_logins(seen)
        for count, charge in enumerate(tuple(self._roster.charges.values()), start=1):
            charge.perishables = tuple(await perishables_of(charge, self._references))
            if _signing(charge.job):
                seen.add(f"job {charge.job.name} signing_certificate")  # also where it can't be read now
            for one in charge.perishables:
                self._consider(f"job {charge.job.name} {one.what}", one, seen, job=charge.job.name)
            if count % HELPING == 0:
                await asyncio.sleep(0)
        self._warned = {about: last for about, last in self._warned.items() if about in seen}
        if self._warned != before:
            await asyncio.to_thread(self._keep, dict(self._warned))

    async def _look_at_logins(self, seen: set[str]) -> None:
        stores = self._stores()
        for name in self.logins.keys() - stores.keys():
            del self.logins[name]  # a reload took the cluster out
        for name, store in stores.items():
            try:
                found = await store.perishable()
            except StoreError:
                seen.add(f"login {name}")
                continue  # who needs the login tells of its trouble
            if found is None:
                self.logins.pop(name, None)
            else:
                self.logins[name] = found
                self._consider(f"login {name}", found, seen, cluster=name or "default")

    def _consider(self, about: str, one: Perishable, seen: set[str], *, job: str = "", **fields: Field) -> None:
        now, span = self._clock.now(), perishable.threshold(one, self._clock.now())
        if one.gone or one.uses_left is not None:
            told = self._told.get((about, one))
            if told is not None and now - told < AGAIN:
                return
            self._told = {key: at for key, at in self._told.items() if key[0] != about} | {(about, one): now}
        elif span is not None and one.ends_at is not None and self._warned is not None:
            seen.add(about)
            if not _is_news(self._warned.get(about, ""), one.ends_at, span):
                return
            self._warned[about] = f"{stamp(one.ends_at)} {round(span.total_seconds())}"
        else:
            return
        fields |= {"secret": one.what, "why": perishable.why(one)}
        if one.ends_at is not None:
            fields["expires_at"] = stamp(one.ends_at)
        self._sink.tell(Event(name="secret_expiring", level="warning", job=job, fields=fields))

    def _recalled(self) -> dict[str, str]:
        try:
            return dict(self._shelf.read(NAME))
        except StoreError:
            return {}

    def _keep(self, warned: dict[str, str]) -> None:
        try:
            self._shelf.write(NAME, warned)
        except StoreError:
            return  # a full disk: it is told once more after a restart


def _is_news(last: str, ends_at: datetime, span: timedelta) -> bool:
    """Whether a warning `span` before `ends_at` was not the last one, about the same end or thereabouts."""
    try:
        end, seconds = last.split(" ")
        before, known = datetime.fromisoformat(end), timedelta(seconds=int(seconds))
    except ValueError:
        return True
    return span < known or ends_at - before > min(span, AGAIN)


async def login_of(store: Store) -> Perishable | None:
    """Return what we log in to a cluster with, as far as it can be read now."""
    try:
        return await store.perishable()
    except StoreError:
        return None  # who needs the login tells of its trouble


async def perishables_of(charge: Charge, references: References) -> list[Perishable]:
    """Return what stands behind a job and comes to an end; a certificate that can't be read now is as it was."""
    job, found = charge.job, list[Perishable]()
    if job.client_secret_expires is not None:
        found.append(perishable.client_secret(job.client_secret_expires))
    if charge.refresh_life is not None and job.irreplaceable:
        begins, ends = charge.refresh_life
        found.append(Perishable(what="refresh_token", issued_at=begins, ends_at=ends))
    if (channel := job.shape.channel) is not None and channel.cert_file is not None:
        found += _certificate("client_certificate", await asyncio.to_thread(tls.validity, channel.cert_file))
    for reference in _signing(job):
        try:
            text = (await references.resolve({"certificate": reference}))["certificate"]
        except (StoreError, UnreadableReferenceError):
            found += [one for one in charge.perishables if one.what == "signing_certificate" and one not in found]
            continue
        found += _certificate("signing_certificate", await asyncio.to_thread(tls.dates, text.reveal().encode()))
    return found


def _signing(job: Job) -> list[Reference]:
    keys = (job.shape.client_key, job.shape.assertion)
    return [key.certificate for key in keys if key is not None and key.certificate is not None]


def _certificate(what: JobWhat, dates: tuple[datetime, datetime] | tuple[None, None]) -> list[Perishable]:
    begins, ends = dates
    return [] if ends is None else [Perishable(what=what, issued_at=begins, ends_at=ends)]
