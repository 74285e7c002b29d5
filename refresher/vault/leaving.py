"""The wire to one cluster, which leaves a node that serves nobody.

Behind one address there may be many nodes: a balancer, or a name with several addresses. A connection that is kept
leads to the node that it was made to, sealed or not, for as long as it is kept: so it is given up.
"""

from dataclasses import replace
from typing import Final

from refresher.core.model import HttpRequest, HttpResponse
from refresher.ports import Http

SENT_ON: Final = frozenset({307, 472, 473})  # by a standby that serves no such request
BROKEN: Final = 500  # from here on: sealed, without a leader, or a proxy's


class Leaving:
    """An Http port. After an answer of a node that serves nobody, each request is the last of its connection."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._leave = False

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request`; raise TransportError when there is no answer."""
        if self._leave:
            request = replace(request, headers=(*request.headers, ("connection", "close")))
        response = await self._http.send(request)
        self._leave = response.status in SENT_ON or response.status >= BROKEN
        return response
