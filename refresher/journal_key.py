"""The journal's key: made at first use, in Vault beside the state records and in memory, never on disk."""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from refresher.charge import Identity
from refresher.core import published
from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.model import Absent, Location
from refresher.core.secret import Secret
from refresher.ports import SecretStore

KEY: Final = 32  # bytes: AES-256


class Keys:
    """The key of each mount that holds state records, at `<state_path>/<instance>.journal`."""

    def __init__(self, stores: Mapping[str, SecretStore], identity: Identity) -> None:
        self._stores = stores
        self._mark = published.mark(identity.instance)
        self._known: dict[Location, tuple[SecretStore, bytes]] = {}

    async def of(self, states: Location) -> bytes:
        """Return the key for the jobs whose state records stand below `states`. Raises StoreError."""
        place = replace(states, path=f"{states.path}.journal")
        store, known = self._stores[place.cluster], self._known.get(place)
        if known is None or known[0] is not store:  # a reload has put another Vault in its place
            key = secrets.token_bytes(KEY) if known is None else known[1]
            self._known[place] = known = store, _key_of(await self._text(store, place, key), place)
        return known[1]

    async def _text(self, store: SecretStore, place: Location, key: bytes) -> Secret | None:
        found = await store.read(place)
        if isinstance(found, Absent):
            fresh = Secret(base64.b64encode(key).decode())
            try:
                await store.write(place, {"key": fresh, "managed_by": Secret(self._mark)}, cas=found.version)
            except (StoreConflictError, StoreRefusedError):  # another was faster: its key is ours
                found = await store.read(place)  # who may create it and not change it is denied then
                if isinstance(found, Absent):
                    raise
            else:
                return fresh
        return found.data.get("key")


def _key_of(text: Secret | None, place: Location) -> bytes:
    try:
        key = b"" if text is None else base64.b64decode(text.reveal(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise StoreRefusedError("journal_key", f"{place}: this is no journal key: delete it, and a new one is made")
    return key
