"""The daemon's own parts, wired as it wires them, in the process of a benchmark that makes its jobs due as it likes.

`Instant` is a wire that answers at once, from memory, as a token endpoint and as Vault: what is left is our own cost.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final

from bench.servers import LIFETIME, TOKEN_BYTES
from refresher import parts as wired
from refresher.config import load
from refresher.core.events import Event
from refresher.core.model import Channel, HttpRequest, HttpResponse
from refresher.core.published import stamp
from refresher.core.settings import LogSettings, Settings
from refresher.host import log
from refresher.ports import Clock, Sink
from refresher.roster import Roster
from refresher.scheduler.apscheduler import Bell
from refresher.sinks.log import LogSink
from refresher.timed import Bell as AnyBell
from refresher.web import wiring

WIRE: Final = "Channels"  # what parts.py makes its wires of
JSON: Final = (("content-type", "application/json"),)
JOB: Final = "THE-JOB"


class Counted:
    """A sink that counts, and says when so many rotations are done."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self._enough = 0
        self._reached = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Count `event`."""
        self.events[event.name] += 1
        if event.name == "rotated" and self.events["rotated"] >= self._enough:
            self._reached.set()

    async def more(self, rotations: int, *, within: float = 900) -> None:
        """Wait for so many rotations more than there were when it was called."""
        self._enough = self.events["rotated"] + rotations
        self._reached.clear()
        async with asyncio.timeout(within):
            await self._reached.wait()


class Fleet:
    """Jobs that are served. Make it with `serving`."""

    def __init__(
        self, parts: wired.Parts, roster: Roster, bell: AnyBell, counted: Counted, ready: asyncio.Event
    ) -> None:
        self.parts, self.roster, self.bell, self.counted, self.ready = parts, roster, bell, counted, ready
        self.names = tuple(roster.charges)

    def make_due(self, names: Collection[str]) -> None:
        """Have the bell ring for `names` at once, and a token be fetched although none is due."""
        self.roster._walks.forced.update(names)  # what `once --force` does
        for name in names:
            self.bell.schedule(name, timedelta())

    async def rotate(self, names: Collection[str] | None = None) -> None:
        """Walk each of `names`, or of all jobs, once, the whole way from the bell to the bell."""
        chosen = self.names if names is None else names
        self.make_due(chosen)
        await self.counted.more(len(chosen))


@asynccontextmanager
async def serving(settings: Settings, *, wait: bool = True) -> AsyncIterator[Fleet]:
    """Serve the jobs of `settings`; yield when each was looked at, and what was due is done, or at once."""
    counted, stop, ready, told = Counted(), asyncio.Event(), asyncio.Event(), sys.excepthook
    sinks: tuple[Sink, ...] = (LogSink(), counted, *wiring.meters(settings))
    with tempfile.TemporaryFile("w", prefix="refresher-bench.") as lines:
        log.configure(LogSettings(format="json"), stream=lines)
        async with wired.build(settings, sinks=sinks) as parts:
            await parts.login()
            bell = parts.timing.bell(Bell(parts.clock))
            roster = parts.roster(bell)
            async with asyncio.TaskGroup() as group:
                group.create_task(roster.serve(stop, ready.set))
                if wait:
                    await ready.wait()
                    while any(name in roster._walks for name in roster.charges):
                        await parts.clock.sleep(timedelta(milliseconds=20))
                yield Fleet(parts, roster, bell, counted, ready)
                stop.set()
            bell.close()
        log.configure(LogSettings(), stream=io.StringIO())  # the file is gone
    sys.excepthook = told  # else nobody hears what a later benchmark fails of


def settings_of(config: Path) -> Settings:
    """Return what jobs.toml says."""
    return load(config)


class Instant:
    """In place of channels.Channels: every request is answered at once. `asked` counts what was asked for.

    Where `stands` is set, every path holds a token of ours with an hour to live; else none holds anything.
    """

    asked: ClassVar[Counter[str]] = Counter()
    stands: ClassVar[bool] = False
    _versions: ClassVar[Counter[str]] = Counter()
    _number: ClassVar[int] = 0

    def __init__(
        self, *, deadline: timedelta, keepalive: timedelta, clock: Clock, usual: Channel | None = None
    ) -> None:
        del deadline, keepalive, clock, usual

    @classmethod
    def install(cls, *, stands: bool) -> None:
        """Take the place of the real wire in parts.py, for the rest of the process."""
        cls.stands, cls.asked, cls._versions = stands, Counter(), Counter()
        setattr(wired, WIRE, cls)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Answer, after the loop went round once."""
        await asyncio.sleep(0)
        kind, status, body = self._answer(request)
        type(self).asked[kind] += 1
        text = body if isinstance(body, str) else json.dumps(body)
        return HttpResponse(status=status, headers=JSON, body=text.encode())

    async def aclose(self) -> None:
        """Nothing is open."""

    def _answer(self, request: HttpRequest) -> tuple[str, int, dict[str, Any] | str]:
        _, _, path = request.url.partition("/v1/")
        if not path:
            cls = type(self)
            cls._number += 1
            token = f"{'t' * TOKEN_BYTES}{cls._number}"
            return "token", 200, {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME}
        if path.startswith("sys/internal/ui/mounts/"):
            return "other", 200, {"data": {"path": "secret/", "type": "kv", "options": {"version": "2"}}}
        if path.startswith("auth/"):
            granted = {"client_token": "canary-token", "lease_duration": 2_500_000, "renewable": True}
            return "other", 200, {"auth": granted}
        if request.method == "POST":
            self._versions[path] += 1
            return "write", 200, {"data": {"version": self._versions[path], "deletion_time": ""}}
        if not self.stands:
            return "read", 404, {"errors": []}
        before, after = _around(int(time.time()))
        return "read", 200, f"{before}{path.rpartition('/')[2]}{after}"


@lru_cache(maxsize=2)
def _around(second: int) -> tuple[str, str]:
    """Return what stands before and after the job's name in a secret issued at that `second`: the wire costs little."""
    data = {"data": _standing(datetime.fromtimestamp(second, UTC)), "metadata": {"version": 1, "deletion_time": ""}}
    before, _, after = json.dumps({"data": data}).partition(JOB)
    return before, after


def _standing(now: datetime) -> dict[str, str]:
    return {
        "access_token": "t" * TOKEN_BYTES,
        "token_type": "Bearer",
        "issued_at": stamp(now),
        "expires_at": stamp(now + timedelta(seconds=LIFETIME)),
        "scope": "orders",
        "job": JOB,
        "managed_by": "refresher/default",
    }
