"""Where a job's tokens come from: its token endpoint, which discovery may have to find first, or its program."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Final

from refresher.core.errors import TransportError
from refresher.core.job import GrantName, Job
from refresher.core.model import HttpResponse
from refresher.core.secret import Secret
from refresher.discovery import Discovery
from refresher.ports import Clock, Http, Programs
from refresher.providers import build

LEAP: Final = timedelta(seconds=1)  # less is a clock that is kept right
# The answers of an address where there is no token endpoint, or no longer.
_ELSEWHERE: Final = frozenset((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE))


class Endpoint:
    """Sends token requests to where they belong."""

    def __init__(self, *, http: Http, programs: Programs, discovery: Discovery, clock: Clock) -> None:
        self._http = http
        self._programs = programs
        self._discovery = discovery
        self._clock = clock
        self.gate: Callable[[str], bool] = lambda _: True  # whether a job is still ours to ask for

    async def ask(self, job: Job, grant: GrantName, secrets: Mapping[str, Secret]) -> tuple[HttpResponse, datetime]:
        """Return the reply to one request for a token, and when the request was sent.

        Raises TransportError when there is no reply, and UnreadableReferenceError, before anything is sent, for what
        can't be used.
        """
        if not self.gate(job.name):
            why = "nothing was sent: another machine may have taken the job over"
            raise TransportError("not_ours", why, sent=False)
        if job.shape.program is not None:
            sent_at, ticks = self._clock.now(), self._clock.monotonic()
            return await self._programs.run(job, secrets), self._as_of_now(sent_at, ticks)
        if job.shape.issuer:
            job = replace(job, token_url=(await self._discovery.metadata(job)).token_endpoint)
        try:
            response, sent_at = await self._send(job, grant, secrets)
        except TransportError:
            self._discovery.doubt(job)
            raise
        if response.status in _ELSEWHERE:
            self._discovery.doubt(job)
        return response, sent_at

    async def _send(self, job: Job, grant: GrantName, secrets: Mapping[str, Secret]) -> tuple[HttpResponse, datetime]:
        """Send a request; what can be had again goes over a kept connection, and once more where that was dead.

        The second is built anew, with a connection of its own: a server takes what is signed once only.
        """
        repeatable = not job.irreplaceable
        while True:
            sent_at, ticks = self._clock.now(), self._clock.monotonic()
            request = build(job, grant, secrets, now=sent_at, nonce=token_urlsafe())
            try:
                response = await self._http.send(replace(request, repeatable=True) if repeatable else request)
            except TransportError as error:
                if not (repeatable and error.stale):
                    raise
                repeatable = False
            else:
                return response, self._as_of_now(sent_at, ticks)

    def _as_of_now(self, wall: datetime, ticks: float) -> datetime:
        """Return when that was by the clock as it stands: one that was set back meanwhile made no token live longer.

        One that leapt forward may have slept: then it was when it seemed to be.
        """
        leap = self._clock.now() - wall - timedelta(seconds=self._clock.monotonic() - ticks)
        return wall + leap if leap < -LEAP else wall
