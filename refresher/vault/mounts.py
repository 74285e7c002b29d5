"""Which KV mount a path lies in, and of which version it is: asked once, remembered until it proves wrong."""

from typing import Final

from refresher.core.errors import StoreRefusedError
from refresher.core.model import Location
from refresher.vault.answers import classify
from refresher.vault.session import Session

_KV_TYPES: Final = frozenset({"kv", "generic"})  # generic: what KV v1 was called


class Mounts:
    """The KV mounts of one cluster, as `sys/internal/ui/mounts/<path>` tells them to whoever may use them."""

    def __init__(self, session: Session, cluster: str) -> None:
        self._session = session
        self._cluster = cluster
        self._versions: dict[str, int] = {}

    async def version(self, mount: str) -> int:
        """Return 1 or 2; raise StoreRefusedError with code `mount` when there is no such KV mount."""
        if mount not in self._versions:
            found = await self._find(mount)
            if found != mount:
                raise StoreRefusedError("mount", f"find {mount}: no such mount; the mount there is {found}")
        return self._versions[mount]

    def forget(self, mount: str) -> None:
        """Ask again at the next use."""
        self._versions.pop(mount, None)

    async def locate(self, target: str) -> Location:
        """Split `mount/path` where the mount ends: a mount's name can have slashes."""
        known = (mount for mount in self._versions if target.startswith(f"{mount}/"))
        mount = next(known, None) or await self._find(target)
        path = target.removeprefix(f"{mount}/")
        if path == target:
            raise StoreRefusedError("mount", f"find {target}: this is a mount, not a secret in one")
        return Location(cluster=self._cluster, mount=mount, path=path)

    async def _find(self, path: str) -> str:
        what = f"find {path}"
        reply = await self._session.call(what, lambda to: to.get(f"/v1/sys/internal/ui/mounts/{path}"))
        mount = reply.data.get("path")
        if reply.status != 200 or not isinstance(mount, str):  # noqa: PLR2004  # HTTP
            raise classify(reply, what, write=False)
        if reply.data.get("type") not in _KV_TYPES:
            raise StoreRefusedError("mount", f"{what}: the mount there is no KV secrets engine")
        mount = mount.strip("/")
        options = reply.data.get("options")
        self._versions[mount] = 2 if isinstance(options, dict) and options.get("version") == "2" else 1
        return mount
