"""What an administrator sets up in a cluster, by a token that is used once: policies, mounts, a role, metadata."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from refresher.core.errors import TransportError
from refresher.core.model import Absent, Found, Location
from refresher.core.rights import Mounts
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Http
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, classify, lost, read_found

KV: Final = frozenset({"kv", "generic"})
Send = Callable[[Adapter], Awaitable[Reply]]


class Admin:
    """One cluster as the holder of `token` may see and change it. Every method raises StoreError."""

    def __init__(self, http: Http, cluster: Cluster, token: Secret) -> None:
        self._http = http
        self._cluster = cluster
        self._token = token

    async def mounts(self) -> Mounts:
        """Return the KV mounts that the token may use, and their versions."""
        found = (await self._engines()).get("secret")
        engines = found if isinstance(found, dict) else {}
        return Mounts({path.strip("/"): _version(one) for path, one in engines.items() if one.get("type") in KV})

    async def has_auth(self, mount: str) -> bool:
        """Whether there is an auth method at `mount`."""
        return f"{mount}/" in ((await self._engines()).get("auth") or {})

    async def make_mount(self, mount: str) -> None:
        """Mount a KV version 2."""
        await self._write(f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "2"}})

    async def make_auth(self, mount: str) -> None:
        """Mount AppRole."""
        await self._write(f"sys/auth/{mount}", {"type": "approle"})

    async def policy(self, name: str) -> str | None:
        """Return the text of a policy, None where there is none."""
        text = (await self._read(f"sys/policies/acl/{name}") or {}).get("policy")
        return text if isinstance(text, str) else None

    async def put_policy(self, name: str, text: str) -> None:
        """Write a policy."""
        await self._write(f"sys/policies/acl/{name}", {"policy": text})

    async def read(self, path: str) -> Mapping[str, Any] | None:
        """Return the data of an API path, None where nothing is there."""
        return await self._read(path)

    async def write(self, path: str, members: Mapping[str, object]) -> None:
        """Write to an API path."""
        await self._write(path, members)

    async def keys(self, path: str) -> tuple[str, ...]:
        """Return what is listed below an API path; where there is nothing, Vault says that the list is not found."""
        reply = await self._ask(f"list {path}", lambda to: to.list(f"/v1/{path}"), missing=True)
        keys = reply.data.get("keys")
        return tuple(keys) if isinstance(keys, list) else ()

    async def secret_id(self, path: str, *, wrap: str = "") -> Secret:
        """Make a secret ID at `path`; return it, or the token that wraps it for `wrap` (`1h`)."""
        headers = {"x-vault-wrap-ttl": wrap} if wrap else {}
        what = f"make a secret ID at {path}"
        reply = await self._ask(what, lambda to: to.post(f"/v1/{path}", json={}, headers=headers))
        made = reply.member("wrap_info").get("token") if wrap else reply.data.get("secret_id")
        if not isinstance(made, str):
            raise classify(reply, self._what(what), write=False)
        return Secret(made)

    async def secret(self, place: Location) -> Found | Absent:
        """Return what stands at a path of a KV version 2."""
        what = f"read {place}"
        reply = await self._ask(what, lambda to: to.get(f"/v1/{place.mount}/data/{place.path}"), missing=True)
        found = read_found(reply, version=2)
        if found is None:
            raise classify(reply, self._what(what), write=False)
        return found

    async def _engines(self) -> Mapping[str, Any]:
        return await self._read("sys/internal/ui/mounts") or {}

    async def _read(self, path: str) -> Mapping[str, Any] | None:
        reply = await self._ask(f"read {path}", lambda to: to.get(f"/v1/{path}"), missing=True)
        return None if reply.status == 404 else reply.data  # noqa: PLR2004  # HTTP

    async def _write(self, path: str, members: Mapping[str, object]) -> None:
        await self._ask(f"write {path}", lambda to: to.post(f"/v1/{path}", json=dict(members)))

    async def _ask(self, what: str, send: Send, *, missing: bool = False) -> Reply:
        """Send one request; raise StoreError for all but a success and, with `missing`, what is not there."""
        try:
            reply = await send(Adapter(self._http, self._cluster, self._token))
        except TransportError as error:
            raise lost(error, self._what(what), write=False) from None
        if reply.status in {200, 204} or (missing and reply.status == 404):  # noqa: PLR2004  # HTTP
            return reply
        raise classify(reply, self._what(what), write=False)

    def _what(self, deed: str) -> str:
        return f"{deed} at {self._cluster.address}"


def _version(engine: Mapping[str, Any]) -> int:
    options = engine.get("options")
    return 2 if isinstance(options, dict) and options.get("version") == "2" else 1
