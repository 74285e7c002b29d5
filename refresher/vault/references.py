"""Secret references of every kind, composed of this machine's and the clusters'."""

from collections.abc import Mapping
from typing import Protocol

from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Absent, Found, Location, Reference
from refresher.core.secret import Secret
from refresher.vault.credential import LocalReader


class Readable(Protocol):
    """What a `vault:` reference needs of a cluster."""

    async def locate(self, target: str) -> Location:
        """Split `mount/path` where the mount ends."""

    async def read(self, place: Location) -> Found | Absent:
        """Read the current version."""


class ReferenceReader:
    """ports.References over this machine and the clusters by name (`""`: the default one)."""

    def __init__(self, local: LocalReader, stores: Mapping[str, Readable]) -> None:
        self._local = local
        self._stores = stores

    async def resolve(self, wanted: Mapping[str, Reference]) -> Mapping[str, Secret]:
        """Read each reference afresh, one read per Vault path, so that two members of one secret fit together."""
        found: dict[tuple[str, str], Found] = {}
        secrets: dict[str, Secret] = {}
        for name, reference in wanted.items():
            if reference.kind != "vault":
                secrets[name] = self._local.read(reference)
                continue
            key = (reference.cluster, reference.target)
            if key not in found:
                found[key] = await self._read(reference)
            secrets[name] = _member(found[key], reference)
        return secrets

    async def _read(self, reference: Reference) -> Found:
        store = self._stores.get(reference.cluster)
        if store is None:
            raise UnreadableReferenceError(str(reference), "there is no such cluster")
        found = await store.read(await store.locate(reference.target))
        if isinstance(found, Absent):
            raise UnreadableReferenceError(str(reference), "there is no such secret in Vault, or it was deleted")
        return found


def _member(found: Found, reference: Reference) -> Secret:
    secret = found.data.get(reference.field)
    if not secret:
        why = "it is empty" if secret is not None else f"the secret has no member {reference.field!r}"
        raise UnreadableReferenceError(str(reference), why)
    return secret
