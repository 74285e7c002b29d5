"""A SecretStore in memory, with faults on request. tests/contract runs one suite on it and on a real OpenBao."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from refresher.core.errors import StoreAmbiguousError, StoreConflictError, StoreRefusedError, StoreUnavailableError
from refresher.core.model import Absent, Found, Location, Written
from refresher.core.secret import Secret

Deed = Literal["read", "write", "prove"]
Data = Mapping[str, Secret]
MAX_SECRET = 256 * 1024


@dataclass
class Shelf:
    """What stands at one path: its versions in order, `None` for a deleted one."""

    versions: list[Data | None] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)


class FakeStore:
    """KV v2, or v1 with `version=1`.

    Faults: `before` and `after` are called with the deed and its place, before anything happens and after it has;
    what they raise is raised. `away`, `denied` and `lose_answers` are the common ones. `age` is that of every secret.
    """

    def __init__(self, *, version: Literal[1, 2] = 2, mounts: tuple[str, ...] = ("secret",)) -> None:
        self.version = version
        self.mounts = mounts
        self.shelves: dict[tuple[str, str], Shelf] = {}
        self.calls: list[tuple[Deed, Location]] = []
        self.away = False
        self.age = timedelta()
        self.denied: set[str] = set()
        self.lose_answers = 0
        self.before: Callable[[Deed, Location], None] = lambda _deed, _place: None
        self.after: Callable[[Deed, Location], None] = lambda _deed, _place: None

    async def read(self, place: Location) -> Found | Absent:
        shelf = self._enter("read", place)
        current = self._current(shelf)
        self.after("read", place)
        if current is None:
            return Absent(version=self._number(shelf))
        metadata = dict(shelf.metadata)
        return Found(version=self._number(shelf), data=dict(current), metadata=metadata, age=self.age)

    async def write(self, place: Location, data: Data, *, cas: int | None) -> Written:
        _check(data)
        shelf = self._enter("write", place)
        if (cas is None) != (self.version == 1):
            raise StoreConflictError("mount_version", f"write {place}: the mount is KV v{self.version}; look again")
        if cas != self._number(shelf) and self._current(shelf) != dict(data):
            raise StoreConflictError("cas", f"write {place}: somebody wrote in between", status=400)
        if cas == self._number(shelf):
            shelf.versions.append(dict(data))
        self.after("write", place)
        if self.lose_answers:
            self.lose_answers -= 1
            raise StoreAmbiguousError("deadline", f"write {place}: no whole reply within 5 s")
        return Written(version=self._number(shelf))

    async def prove(self, place: Location) -> None:
        self._enter("prove", place)
        self.after("prove", place)

    async def locate(self, target: str) -> Location:
        for mount in self.mounts:
            if target.startswith(f"{mount}/"):
                return Location(mount=mount, path=target.removeprefix(f"{mount}/"))
        raise StoreRefusedError("mount", f"find {target}: no such mount")

    def put(self, place: Location, data: Mapping[str, str], metadata: Mapping[str, str] | None = None) -> None:
        """Write as somebody else would."""
        shelf = self._shelf(place)
        shelf.versions.append({name: Secret(text) for name, text in data.items()})
        shelf.metadata.update(metadata or {})

    def delete(self, place: Location) -> None:
        """Delete the newest version, on v1 all there is."""
        shelf = self._shelf(place)
        shelf.versions = [] if self.version == 1 else [*shelf.versions[:-1], None]

    def stands(self, place: Location) -> dict[str, str] | None:
        """Return in plain what a reader of `place` finds now."""
        current = self._current(self._shelf(place))
        return None if current is None else {name: value.reveal() for name, value in current.items()}

    def _enter(self, deed: Deed, place: Location) -> Shelf:
        self.calls.append((deed, place))
        self.before(deed, place)
        if self.away:
            raise StoreUnavailableError("transport", f"{deed} {place}: connection refused")
        if place.mount not in self.mounts:
            raise StoreRefusedError("mount", f"{deed} {place}: no such mount", status=403)
        if place.path in self.denied:
            raise StoreRefusedError("denied", f"{deed} {place}: the policy denies it", status=403)
        return self._shelf(place)

    def _shelf(self, place: Location) -> Shelf:
        return self.shelves.setdefault((place.mount, place.path), Shelf())

    def _current(self, shelf: Shelf) -> Data | None:
        return shelf.versions[-1] if shelf.versions else None

    def _number(self, shelf: Shelf) -> int | None:
        return None if self.version == 1 else len(shelf.versions)


def _check(data: Data) -> None:
    plain = {name: value.reveal() for name, value in data.items()}
    try:
        "".join((*plain, *plain.values())).encode()
    except UnicodeEncodeError:
        raise StoreRefusedError("request", "a value is no Unicode text") from None
    if len(json.dumps(plain)) > MAX_SECRET:
        raise StoreRefusedError("too_large", "more than 256 KiB")
