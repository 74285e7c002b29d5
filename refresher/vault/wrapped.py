"""A secret ID that came wrapped: unwrapped once, kept for restarts, and an alarm when somebody else was there before.

Rules of this module:
- What the wrapping token holds is looked at first: a token that wraps anything but a secret ID of this auth method was
  exchanged on its way.
- Before it is unwrapped the state directory has taken the note of it: what can be had once must find a place.
- The request is never cancelled: whoever gives up waiting does not take the only answer along.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, NoReturn, Protocol

from hvac.api.system_backend.wrapping import Wrapping

from refresher.core.errors import StoreRefusedError
from refresher.core.events import Event
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Sink
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, classify
from refresher.vault.lease import is_token

SPENT: Final = 400  # HTTP; so is one that never was, or has expired
Ask = Callable[[str, Callable[[], Awaitable[Reply]]], Awaitable[Reply]]


class Keeper(Protocol):
    """Keeps a few members of text in the state directory (host/kept.py)."""

    def read(self, name: str) -> Mapping[str, str]:
        """Return what was kept under `name`, empty where nothing was; raise StoreRefusedError where nobody can say."""

    def write(self, name: str, members: Mapping[str, str]) -> None:
        """Keep it; raise StoreRefusedError where that can't be done."""


class Nowhere:
    """Keeps nothing: for logins that yield nothing once."""

    def read(self, _name: str) -> Mapping[str, str]:
        """Return nothing."""
        return {}

    def write(self, _name: str, _members: Mapping[str, str]) -> None:
        """Refuse."""
        raise StoreRefusedError("login", "there is no state directory to keep what the login needs")


class Wrapped:
    """The secret ID of one cluster's login. `ask` sends a request and turns a lost one into a StoreError."""

    def __init__(
        self, *, cluster: Cluster, keeper: Keeper, sink: Sink | None, ask: Ask, adapter: Callable[[Secret], Adapter]
    ) -> None:
        self._name = cluster.name or "default"
        self._what = f"log in at {cluster.address}"
        self._origin = re.compile(rf"(?:.*/)?auth/{re.escape(cluster.auth.mount)}/role/[^/]+/(?:custom-)?secret-id")
        self._keeper = keeper
        self._sink = sink
        self._ask = ask
        self._adapter = adapter
        self._under_way: asyncio.Task[Secret] | None = None
        self._held: tuple[str, Secret] | None = None
        self._told = ""

    def kept(self) -> Secret | None:
        """Return the secret ID that was unwrapped before, if there is one."""
        text = self._keeper.read(self._name).get("secret_id")
        return Secret(text) if text else None

    async def secret_id(self, token: Secret) -> Secret:
        """Return what `token` wraps, from the state directory where it was unwrapped before. Raises StoreError."""
        if (under_way := self._under_way) is None:
            digest = hashlib.sha256(token.reveal().encode()).hexdigest()
            if (known := self._unwrapped(digest) or await self._look_up(token, digest)) is not None:
                return known
            self._keeper.write(self._name, {**self._keeper.read(self._name), "asked": digest})
            loop = asyncio.get_running_loop()
            self._under_way = under_way = loop.create_task(self._unwrap(token, digest))  # no task group's: see above
        try:
            return await asyncio.shield(under_way)
        finally:
            if under_way.done():
                self._under_way = None

    async def settled(self) -> None:
        """Wait for a request that is under way: it ends within the wire's deadline."""
        if (under_way := self._under_way) is not None:
            await asyncio.wait([under_way])
            under_way.exception()  # nobody else may look at it any more

    def _unwrapped(self, digest: str) -> Secret | None:
        """Return what a process of ours has unwrapped from that token."""
        if self._held is not None and self._held[0] == digest:
            return self._held[1]
        kept = self._keeper.read(self._name)
        return Secret(kept["secret_id"]) if kept.get("wrapping") == digest and "secret_id" in kept else None

    async def _look_up(self, token: Secret, digest: str) -> Secret | None:
        """Make sure of what the token wraps; return that where another process of ours was faster."""
        reply = await self._ask("look up the wrapping token", lambda: _look_up(self._adapter(token), token))
        origin = reply.data.get("creation_path")
        if reply.status == SPENT:
            if (known := self._unwrapped(digest)) is not None:
                return known
            ours = self._keeper.read(self._name).get("asked") == digest
            whose = "refresher itself asked for it and lost the answer, or somebody else" if ours else "somebody else"
            self._alarm(digest, f"the wrapping token was used before: {whose} has the secret ID, or it has expired")
        if not isinstance(origin, str):
            raise classify(reply, self._what, write=False)
        if not self._origin.fullmatch(origin):
            self._alarm(
                digest, "the wrapping token holds no secret ID of this auth method: it was exchanged on its way"
            )
        return None

    async def _unwrap(self, token: Secret, digest: str) -> Secret:
        reply = await self._ask("unwrap the secret ID", Wrapping(self._adapter(token)).unwrap)
        text = reply.data.get("secret_id")
        if reply.status == SPENT:
            if (known := self._unwrapped(digest)) is not None:
                return known
            self._alarm(digest, "the wrapping token was used by somebody else in this moment, who has the secret ID")
        if not isinstance(text, str) or not is_token(text):
            raise classify(reply, self._what, write=False)
        self._held = digest, Secret(text)
        with suppress(StoreRefusedError):  # it took the note just now; this process goes on without it
            self._keeper.write(self._name, {"wrapping": digest, "secret_id": text})
        return Secret(text)

    def _alarm(self, digest: str, why: str) -> NoReturn:
        """Tell once of each token that a stranger may hold the login; raise StoreRefusedError."""
        why = f"{why}; destroy that secret ID, find out, and deliver a new one"
        if self._sink is not None and self._told != digest:
            self._told = digest
            fields = {"cluster": self._name, "error": "login", "why": why}
            self._sink.tell(Event(name="secret_exposed", level="error", fields=fields))
        raise StoreRefusedError("login", f"{self._what}: {why}", status=SPENT)


def _look_up(to: Adapter, token: Secret) -> Awaitable[Reply]:
    reply: Awaitable[Reply] = to.post("/v1/sys/wrapping/lookup", json={"token": token.reveal()})
    return reply
