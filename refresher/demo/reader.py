"""A program downstream, as anybody would write it: it reads a path of Vault and uses the token that it finds there.

Only that it does so ten times a second, and keeps count of what it found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

import aiohttp

from refresher.core.secret import Secret
from refresher.ports import Clock

EVERY: Final = timedelta(milliseconds=100)
PATIENCE: Final = aiohttp.ClientTimeout(total=5)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What a reader knows of one path. `dead`: reads that found no live token though there had been one."""

    version: int = 0
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    reads: int = 0
    dead: int = 0
    least: timedelta | None = None


class Reader:
    """Reads one path until cancelled. `url` is the path's in Vault's API, `api` the vendor's that takes the token."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, *, url: str, api: str, token: Secret) -> None:
        self._session = session
        self._clock = clock
        self._url = url
        self._api = api
        self._token = token
        self.seen = Seen()

    async def run(self) -> None:
        """Read at a steady pace."""
        at = self._clock.monotonic()
        while True:
            await self.read()
            at += EVERY.total_seconds()
            await self._clock.sleep(timedelta(seconds=at - self._clock.monotonic()))

    async def read(self) -> None:
        """Read once; a version not seen before is also tried at the vendor's API."""
        seen, headers = self.seen, {"X-Vault-Token": self._token.reveal()}
        async with self._session.get(self._url, headers=headers, timeout=PATIENCE) as reply:
            found = await reply.json() if reply.status == HTTPStatus.OK else None
        if found is None and not seen.version:
            return  # the first token is on its way
        seen.reads += 1
        left = self._take(found["data"]) if found is not None else timedelta()
        alive = left > timedelta()
        if found is not None and found["data"]["metadata"]["version"] != seen.version:
            alive &= await self._works(found["data"]["data"]["access_token"])
            seen.version = found["data"]["metadata"]["version"]
        seen.least = left if seen.least is None else min(seen.least, left)
        seen.dead += not alive

    def _take(self, found: Mapping[str, Mapping[str, str]]) -> timedelta:
        """Note the times of what was found and return how long it lives from now."""
        data, seen = found["data"], self.seen
        seen.issued_at = datetime.fromisoformat(data["issued_at"])
        seen.expires_at = datetime.fromtimestamp(int(data["expires_at_unix"]), tz=UTC)
        return seen.expires_at - self._clock.now()

    async def _works(self, access_token: str) -> bool:
        headers = {"Authorization": f"Bearer {access_token}"}
        async with self._session.get(self._api, headers=headers, timeout=PATIENCE) as reply:
            return reply.status == HTTPStatus.OK
