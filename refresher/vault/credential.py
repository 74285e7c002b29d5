"""What a login shows: read afresh for each, unwrapped where it came wrapped."""

from typing import Protocol

from refresher.core.errors import StoreRefusedError, UnreadableReferenceError
from refresher.core.model import Reference
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.vault.lease import is_token
from refresher.vault.wrapped import Wrapped


class LocalReader(Protocol):
    """Reads references of this machine (`file:`, `credential:`, `env:`)."""

    def read(self, reference: Reference) -> Secret:
        """Read it afresh; raise UnreadableReferenceError."""


class Credential:
    """The token, secret ID or JWT of one cluster's login; with a certificate it shows none."""

    def __init__(self, *, cluster: Cluster, local: LocalReader, wrapped: Wrapped) -> None:
        self._auth = cluster.auth
        self._what = f"log in at {cluster.address}"
        self._local = local
        self._wrapped = wrapped

    def read(self) -> Secret | None:
        """Read it as it was delivered, without the newline that files end with; raise StoreRefusedError.

        None where nothing is shown, or where a wrapping token is gone whose secret ID was kept.
        """
        reference = self._auth.credential
        if reference is None:
            return None
        try:
            text = self._local.read(reference).reveal().strip()
        except UnreadableReferenceError as error:
            if self._auth.wrapped and self._wrapped.kept() is not None:
                return None
            raise StoreRefusedError("login", f"{self._what}: {error}") from None
        if not is_token(text):
            message = f"{self._what}: {reference}: empty, or with characters that no token has"
            raise StoreRefusedError("login", message)
        return Secret(text)

    async def shown(self, delivered: Secret | None) -> Secret | None:
        """Return what the login shows for what `read` returned. Raises StoreError."""
        if not self._auth.wrapped:
            return delivered
        return self._wrapped.kept() if delivered is None else await self._wrapped.secret_id(delivered)

    async def settled(self) -> None:
        """Wait for what can't be cancelled."""
        await self._wrapped.settled()
