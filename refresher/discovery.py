"""The endpoints of an issuer, looked up once for all of its jobs.

Rules of this module:
- What was read holds for a day, and is read again after an exchange that failed as one at a wrong address does; never
  more than once a minute.
- Jobs that ask at once wait for one request. A failure is remembered for a few seconds, so that they don't repeat it.
- A job whose file may name certain hosts alone is led to no other.
- What was read once is used on when it can't be read again: metadata that are away keep no token from its readers.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

from refresher.core.address import host_of, is_taken
from refresher.core.errors import TransportError
from refresher.core.job import Job
from refresher.core.model import Channel, HttpRequest
from refresher.ports import Clock, Http
from refresher.providers.discovery import Metadata, UnusableMetadataError, addresses, read

GOOD_FOR: Final = timedelta(days=1).total_seconds()
PAUSE: Final = timedelta(minutes=1).total_seconds()
REMEMBERED: Final = timedelta(seconds=5).total_seconds()


class Discovery:
    """Finds endpoints by issuer. A job's channel is used: its certificates, its proxy."""

    def __init__(self, *, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._known: dict[tuple[str, Channel | None], _Entry] = {}

    async def metadata(self, job: Job) -> Metadata:
        """Return the metadata of the issuer of `job`.

        Raises TransportError (`discovery` where something was answered, but not metadata) and
        UnreadableReferenceError (a file of the job's channel).
        """
        entry = self._entry(job)
        async with entry.turn:
            known = entry.known
            if known is None or self._clock.monotonic() >= entry.read_again_at:
                known = await self._look(entry, job)
        if isinstance(known, Metadata):
            return _within(known, job.hosts) if job.hosts else known
        raise TransportError(known.code, known.why, sent=False)  # one object would gather the tracebacks of all walks

    def doubt(self, job: Job) -> None:
        """Have the metadata read again before the next use: what they led to did not answer as an endpoint does."""
        entry = self._entry(job)
        entry.read_again_at = min(entry.read_again_at, entry.read_at + PAUSE)

    def _entry(self, job: Job) -> "_Entry":
        return self._known.setdefault((job.shape.issuer, job.shape.channel), _Entry())

    async def _look(self, entry: "_Entry", job: Job) -> Metadata | TransportError:
        found: Metadata | TransportError
        try:
            found, good_for = await self._read(job.shape.issuer, job.shape.channel), GOOD_FOR
        except TransportError as error:
            found, good_for = error, REMEMBERED
            if isinstance(entry.known, Metadata):
                found, good_for = entry.known, PAUSE
        entry.known, entry.read_at = found, self._clock.monotonic()
        entry.read_again_at = entry.read_at + good_for
        return found

    async def _read(self, issuer: str, channel: Channel | None) -> Metadata:
        mtls, told = channel is not None and channel.cert_file is not None, []
        for url in addresses(issuer):
            try:
                response = await self._http.send(HttpRequest(method="GET", url=url, channel=channel))
                return read(response, issuer, mtls=mtls)
            except UnusableMetadataError as error:
                told.append(f"{url} {error}")
            except TransportError as error:
                raise TransportError(error.code, f"discovery at {url}: {error.why}", sent=False) from None
        raise TransportError("discovery", "; ".join(told), sent=False)


def _within(metadata: Metadata, hosts: tuple[str, ...]) -> Metadata:
    """Return `metadata` without the endpoints that are on none of these `hosts`."""
    names = ("token_endpoint", "introspection_endpoint", "device_authorization_endpoint", "authorization_endpoint")
    urls = {name: getattr(metadata, name) for name in names}
    kept = {name: url if url and is_taken(host_of(url), hosts) else "" for name, url in urls.items()}
    if not kept["token_endpoint"]:
        why = "the issuer's metadata name a token endpoint on a host that the job's file may not name (allow.hosts)"
        raise TransportError("discovery", why, sent=False)
    return replace(metadata, **kept)


class _Entry:
    """What is known of one issuer, by one channel: its metadata, or why there are none. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.known: Metadata | TransportError | None = None
        self.read_at = 0.0
        self.read_again_at = 0.0
