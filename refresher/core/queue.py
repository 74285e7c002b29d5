"""Which of the due jobs may run now: earliest expiry first, under caps for each token host and in all.

Rules of this module:
- A host that failed or hung gets one slot until it answers again.
- The last quarter of all slots goes only to hosts with nothing under way, so that a few bad hosts never fill all.
- A job that may not run now is parked at its host until a slot anywhere is given back: only hosts with something under
  way have parked jobs, so that there are never more of them than slots.
- Nothing here waits or reads a clock; `offer`, `take` and `done` are each O(log n) for n jobs.
"""

from collections import Counter
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import NamedTuple

from refresher.core.settings import Limits


class Entry(NamedTuple):  # not a dataclass: a heap of ten thousand compares a dozen times to take one
    """One due job. Sorts by the expiry of what readers hold now; a job whose readers hold nothing comes first."""

    expires_at: datetime
    name: str
    host: str


class Queue:
    """Due jobs that wait for a slot. A name is queued or running at most once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._reserve = limits.total // 4
        self._ready: list[Entry] = []
        self._parked: dict[str, list[Entry]] = {}
        self._waiting: set[str] = set()
        self._running: dict[str, str] = {}
        self._per_host: Counter[str] = Counter()
        self._bad: set[str] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return len(self._running)

    def __contains__(self, name: str) -> bool:
        return name in self._waiting or name in self._running

    def offer(self, entry: Entry) -> None:
        """Queue `entry`, unless its job is queued or running already."""
        if entry.name not in self:
            self._waiting.add(entry.name)
            heappush(self._ready, entry)

    def withdraw(self, name: str) -> None:
        """Forget a queued job (it was removed from the configuration), so that it stands in nobody's way."""
        if name not in self._waiting:
            return
        self._waiting.discard(name)
        everybody = chain(self._ready, *self._parked.values())
        self._ready = [entry for entry in everybody if entry.name != name]
        self._parked.clear()
        heapify(self._ready)

    def take(self) -> str | None:
        """Return the next job that may run, and give it a slot; None when there is none."""
        while self._ready and len(self._running) < self._limits.total:
            entry = heappop(self._ready)
            under_way = self._per_host[entry.host]
            crowded = under_way and self._limits.total - len(self._running) <= self._reserve
            if crowded or not self._free(entry.host):
                heappush(self._parked.setdefault(entry.host, []), entry)
            else:
                self._waiting.discard(entry.name)
                self._running[entry.name] = entry.host
                self._per_host[entry.host] += 1
                return entry.name
        return None

    def done(self, name: str, *, host_answered: bool | None) -> None:
        """Give the slot of `name` back. `host_answered`: its token host did not fail or hang; None: nobody asked it."""
        host = self._running.pop(name)
        self._per_host[host] -= 1
        if not self._per_host[host]:
            del self._per_host[host]
        if host_answered is not None:
            (self._bad.discard if host_answered else self._bad.add)(host)
        for where, parked in self._parked.items():  # `take` sees who of them may run now
            for _ in range(min(self._free(where), len(parked))):
                heappush(self._ready, heappop(parked))
        self._parked = {where: parked for where, parked in self._parked.items() if parked}

    def _free(self, host: str) -> int:
        """How many more may run at `host`, as far as the host is concerned."""
        return max((1 if host in self._bad else self._limits.per_host) - self._per_host[host], 0)
