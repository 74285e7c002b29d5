"""Key-value secrets of one cluster, KV v2 and v1.

Rules of this module:
- A write that ends ambiguously is repeated with the identical data and the identical check-and-set value: it can
  land once only.
- A check-and-set mismatch is looked at: when what stands there is ours, an earlier try landed, and the write is done.
- KV v1 has no check-and-set: a write is done when it reads back (one writer only).
"""

import json
import re
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from hvac.api.secrets_engines import KvV1, KvV2
from hvac.api.system_backend.capabilities import Capabilities

from refresher.core.errors import (
    StoreAmbiguousError,
    StoreConflictError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from refresher.core.model import Absent, Found, Location, Written
from refresher.core.secret import Secret
from refresher.ports import Clock
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, classify, read_found, read_written
from refresher.vault.mounts import Mounts
from refresher.vault.session import Session

MAX_SECRET: Final = 256 * 1024  # bytes as JSON; raft takes 1 MiB, and refuses more by a 500 with the wrong reason
IMPOSSIBLE_CAS: Final = 2**31 - 1  # no secret has that many versions
PAUSES: Final = (0.25, 1.0)  # seconds before the second and the third try
LAST_TRY_S: Final = 10.0  # seconds after its begin a write is not tried again: with requests of 5 s it ends by 15 s

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./-]*\Z").match
_WRITABLE: Final = frozenset({"create", "update", "root"})


class KeyValue:
    """The SecretStore over one cluster."""

    def __init__(self, *, session: Session, mounts: Mounts, clock: Clock) -> None:
        self._session = session
        self._mounts = mounts
        self._clock = clock

    async def read(self, place: Location) -> Found | Absent:
        """Read the current version."""
        try:
            return await self._read(place)
        except StoreConflictError:  # the mount is of another version than it was, which is forgotten by now
            return await self._read(place)

    async def write(self, place: Location, data: Mapping[str, Secret], *, cas: int | None) -> Written:
        """Write by check-and-set; repeat an ambiguous end; take a mismatch whose content is ours as done.

        StoreConflictError `cas`: somebody wrote in between; `mount_version`: `cas` does not fit the mount's version;
        `readback`: on KV v1 something else stands there. All say: look again.
        """
        what = f"write {place}"
        plain = _plain(data, what)
        version = await self._mounts.version(place.mount)
        if (cas is None) != (version == 1):
            raise StoreConflictError("mount_version", f"{what}: the mount is KV v{version}; look again")
        end = await self._try(place, plain, cas)
        if isinstance(end, Written):
            return end
        if isinstance(end, StoreAmbiguousError) or end.code in {"cas", "readback"}:
            return await self._settle(place, data, end, cas)
        raise end

    async def prove(self, place: Location) -> None:
        """Show that `place` takes writes: on v2 by an impossible `cas`, on v1 by asking for our rights there."""
        what = f"prove {place}"
        if await self._mounts.version(place.mount) == 1:
            await self._prove_v1(place, what)
            return
        reply = await self._session.call(what, lambda to: _post(to, place, {}, IMPOSSIBLE_CAS), place=place)
        end = self._failed(reply, place, what)
        if end.code != "cas":
            raise end

    async def _read(self, place: Location) -> Found | Absent:
        what = f"read {place}"
        version = await self._mounts.version(place.mount)
        reply = await self._session.call(what, lambda to: _get(to, place, version), place=place)
        found = read_found(reply, version=version)
        if found is None:
            raise self._failed(reply, place, what)
        return found

    async def _try(self, place: Location, plain: Mapping[str, str], cas: int | None) -> Written | StoreError:
        """Write until the end is clear: three times at most. On v1 what an acknowledgement says is `readback`."""
        began = self._clock.monotonic()
        end = await self._attempt(place, plain, cas)
        for pause in PAUSES:
            late = self._clock.monotonic() - began + pause > LAST_TRY_S
            if late or not isinstance(end, StoreAmbiguousError):
                break
            await self._clock.sleep(timedelta(seconds=pause))
            again = await self._attempt(place, plain, cas)
            if not isinstance(again, StoreUnavailableError):  # away by now: the try before may have landed all the same
                end = again
        return end

    async def _attempt(self, place: Location, plain: Mapping[str, str], cas: int | None) -> Written | StoreError:
        what = f"write {place}"
        try:
            reply = await self._session.call(what, lambda to: _post(to, place, plain, cas), write=True, place=place)
        except StoreError as error:
            return error
        return self._end(reply, place, what, cas)

    def _end(self, reply: Reply, place: Location, what: str, cas: int | None) -> Written | StoreError:
        if cas is None and reply.status == 204:  # noqa: PLR2004  # HTTP
            return StoreConflictError("readback", f"{what}: it does not read back; is there a second writer?")
        written = read_written(reply) if cas is not None else None
        return written or self._failed(reply, place, what, write=True)

    async def _settle(self, place: Location, data: Mapping[str, Secret], end: StoreError, cas: int | None) -> Written:
        """Look whether what was written stands there, where that is the question; raise `end` when it does not."""
        try:
            found = await self._read(place)
            for pause in PAUSES if end.code == "cas" else ():
                if found.version != cas:
                    break
                await self._clock.sleep(timedelta(seconds=pause))  # it was said to be another: this node is behind
                found = await self._read(place)
        except StoreError as error:
            raise StoreAmbiguousError(error.code, f"{end}; and then {error}", status=error.status) from None
        if isinstance(found, Found) and dict(found.data) == dict(data):
            return Written(version=found.version, deletion_time=found.deletion_time)
        raise end

    async def _prove_v1(self, place: Location, what: str) -> None:
        path = f"{place.mount}/{place.path}"
        reply = await self._session.call(what, lambda to: Capabilities(to).get_capabilities([path]))
        rights = reply.data.get(path)
        if not isinstance(rights, list):
            raise self._failed(reply, place, what)
        if _WRITABLE.isdisjoint(rights):
            raise StoreRefusedError("denied", f"{what}: the policy denies it")

    def _failed(self, reply: Reply, place: Location, what: str, *, write: bool = False) -> StoreError:
        error = classify(reply, what, write=write)
        if error.code == "mount_version":
            self._mounts.forget(place.mount)
        return error


def _get(to: Adapter, place: Location, version: int) -> Awaitable[Reply]:
    reply: Awaitable[Reply]
    if version == 1:
        reply = KvV1(to).read_secret(place.path, mount_point=place.mount)
    else:
        reply = to.get(f"/v1/{_quoted(place.mount)}/data/{_quoted(place.path)}")  # by hvac, a fifth of a look
    return reply


def _quoted(path: str) -> str:
    """Return `path` as hvac quotes it; nearly none needs it."""
    return path if _PLAIN(path) else quote(path)


def _post(to: Adapter, place: Location, plain: Mapping[str, str], cas: int | None) -> Awaitable[Reply]:
    reply: Awaitable[Reply]
    if cas is None:
        reply = KvV1(to).create_or_update_secret(place.path, plain, method="POST", mount_point=place.mount)
    else:
        reply = KvV2(to).create_or_update_secret(place.path, plain, cas=cas, mount_point=place.mount)
    return reply


def _plain(data: Mapping[str, Secret], what: str) -> Mapping[str, str]:
    """Reveal what is to be stored, where it can be stored unharmed: Vault turns a lone surrogate into U+FFFD."""
    plain = {name: value.reveal() for name, value in data.items()}
    try:
        text = "".join((*plain, *plain.values()))
        text.encode()
    except UnicodeEncodeError:
        raise StoreRefusedError("request", f"{what}: a value is no Unicode text") from None
    # Few secrets may be too large: the others are not written out for it. JSON takes 12 bytes for a character at most.
    if len(text) > MAX_SECRET // 16 and len(json.dumps(plain)) > MAX_SECRET:
        raise StoreRefusedError("too_large", f"{what}: more than {MAX_SECRET // 1024} KiB")
    return plain
