"""One request to one cluster as whoever we are logged in as."""

from collections.abc import Awaitable, Callable

from refresher.core.errors import TransportError
from refresher.core.settings import Cluster
from refresher.ports import Http
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, lost
from refresher.vault.auth import Login


class Session:
    """Sends hvac's requests with the login's token."""

    def __init__(self, *, http: Http, cluster: Cluster, login: Login) -> None:
        self._http = http
        self._cluster = cluster
        self._login = login

    async def call(
        self, what: str, request: Callable[[Adapter], Awaitable[Reply]], *, write: bool = False, forward: bool = False
    ) -> Reply:
        """Send `request`; on a 403 by a dead token log in again and repeat it once.

        `what` names the deed for messages; `forward` asks for the active node. Raises StoreUnavailableError when no
        answer came, StoreAmbiguousError when that was a `write` that may have landed.
        """
        token = await self._login.token()
        try:
            reply = await request(Adapter(self._http, self._cluster, token, forward=forward))
            if reply.status == 403 and await self._login.is_dead(token):  # noqa: PLR2004  # HTTP
                token = await self._login.token()
                reply = await request(Adapter(self._http, self._cluster, token, forward=forward))
        except TransportError as error:
            raise lost(error, what, write=write) from None
        return reply
