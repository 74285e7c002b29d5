"""One request to one cluster as whoever we are logged in as.

Rules of this module:
- Who asks about a place sees at least what an earlier answer about that place told, whichever node answers: a standby
  serves reads, and judges check-and-set values, by what it has seen so far.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from refresher.core.errors import TransportError
from refresher.core.model import Location
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Clock, Http
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, lost
from refresher.vault.auth import Login

BEHIND_PAUSES: Final = (0.25, 1.0, 1.0)  # seconds before a node that is behind is asked again


class Session:
    """Sends hvac's requests with the login's token."""

    def __init__(self, *, http: Http, cluster: Cluster, login: Login, clock: Clock) -> None:
        self._http = http
        self._cluster = cluster
        self._login = login
        self._clock = clock
        self._token: Secret | None = None
        self._indexes: dict[Location, str] = {}  # of the last answer about each place, with this token

    async def call(
        self,
        what: str,
        request: Callable[[Adapter], Awaitable[Reply]],
        *,
        write: bool = False,
        place: Location | None = None,
    ) -> Reply:
        """Send `request`; on a 403 by a dead token log in again and repeat it once.

        `what` names the deed for messages; `place` is what it is about. Raises StoreUnavailableError when no answer
        came, StoreAmbiguousError when that was a `write` that may have landed.
        """
        try:
            token, reply = await self._patiently(request, place)
            if reply.status == 403 and await self._login.is_dead(token):  # noqa: PLR2004  # HTTP
                _, reply = await self._patiently(request, place)
        except TransportError as error:
            raise lost(error, what, write=write) from None
        return reply

    async def _patiently(
        self, request: Callable[[Adapter], Awaitable[Reply]], place: Location | None
    ) -> tuple[Secret, Reply]:
        """Send `request`, and again while the node that answers is behind: nothing was done then."""
        token, reply = await self._send(request, place)
        for pause in BEHIND_PAUSES:
            if not reply.is_behind:
                break
            await self._clock.sleep(timedelta(seconds=pause))
            token, reply = await self._send(request, place)
        return token, reply

    async def _send(
        self, request: Callable[[Adapter], Awaitable[Reply]], place: Location | None
    ) -> tuple[Secret, Reply]:
        token = await self._login.token()
        if token is not self._token and token != self._token:  # its login saw all that is noted
            self._token, self._indexes = token, {}
        index = self._login.index
        if place is not None:
            index = self._indexes.get(place, index)
        reply = await request(Adapter(self._http, self._cluster, token, index=index))
        if place is not None and reply.index:
            self._indexes[place] = reply.index
        return token, reply
