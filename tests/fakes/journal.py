"""ports.Journal in memory: it outlives the process that a test ends, as a disk does."""

from refresher.core.errors import StoreConflictError, StoreRefusedError
from refresher.core.secret import Secret


class FakeJournal:
    """`full`: no room. `others`: jobs whose slot another process has. A restart calls `released`."""

    def __init__(self) -> None:
        self.next: dict[str, tuple[str, bytes] | None] = {}
        self.last: dict[str, tuple[str, bytes]] = {}
        self.mine: set[str] = set()
        self.others: set[str] = set()
        self.full = False

    def released(self) -> None:
        """The process that had the slots is gone."""
        self.mine.clear()

    async def reserve(self, job):
        if job in self.others:
            raise StoreConflictError("busy", "another process is rotating this job")
        if self.full:
            raise StoreRefusedError("journal", "No space left on device")
        self.mine.add(job)
        self.next[job] = None

    async def enter(self, job, text, key):
        if job not in self.mine:
            return False
        self.next[job] = (text.reveal(), key)
        return True

    async def keep(self, job):
        self.mine.discard(job)
        if (entry := self.next.pop(job, None)) is not None:
            self.last[job] = entry

    async def release(self, job):
        self.mine.discard(job)
        self.next.pop(job, None)

    def has(self, job, *, last=False):
        return job in (self.last if last else self.next)

    def busy(self, job):
        return job in self.others

    async def read(self, job, key, *, last=False):
        entry = (self.last if last else self.next).get(job)
        return Secret(entry[0]) if entry is not None and entry[1] == key else None
