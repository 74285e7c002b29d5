"""What hooks send over the wire, and the secrets that they need for it.

Rules of this module:
- Secrets stand on this machine and are read afresh at each use.
- Only https, or http to this machine; no redirect is followed; of an answer only the status counts.
"""

import asyncio

from refresher.core import address, hooks
from refresher.core.errors import TransportError, UnreadableReferenceError
from refresher.core.hooks import Url
from refresher.core.model import HttpRequest, Reference
from refresher.core.secret import Secret
from refresher.ports import Http, LocalSecrets


class FailedError(Exception):
    """A hook did not do what it is for: a code, and why. `final`: another try would come to the same."""

    def __init__(self, error: str, why: str, *, final: bool = True) -> None:
        super().__init__(why)
        self.error, self.final = error, final


class Posting:
    """Sends, over a wire of its own."""

    def __init__(self, http: Http, local: LocalSecrets) -> None:
        self._http = http
        self._local = local

    async def read(self, reference: Reference) -> Secret:
        """Return what stands there. Raises FailedError `secret`."""
        try:
            return await asyncio.to_thread(self._local.read, reference)
        except UnreadableReferenceError as error:
            raise FailedError("secret", str(error), final=False) from None

    async def address(self, url: Url) -> str:
        """Return an address, or the one that stands in its place. Raises FailedError `secret` or `url`."""
        if isinstance(url, str):
            return url
        text = (await self.read(url)).reveal()
        if not address.may_get_secrets(text, plain=True):
            raise FailedError("url", f"{url}: this is no URL that begins with https://", final=False)
        return text

    async def send(self, request: HttpRequest) -> None:
        """Send `request` and see that it is taken. Raises FailedError: `transport`, `deadline`, `http_N`."""
        try:
            reply = await self._http.send(request)
        except TransportError as error:
            raise FailedError(error.code, error.why, final=False) from None
        if not 200 <= reply.status < 300:  # noqa: PLR2004  # HTTP
            why = f"the receiver answers with status {reply.status}"
            raise FailedError(f"http_{reply.status}", why, final=hooks.is_final(reply.status))
