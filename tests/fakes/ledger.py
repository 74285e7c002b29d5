"""ports.Ledger in memory: it outlives the process that a test ends, as a disk does."""

from refresher.core import remembered


class FakeLedger:
    """`jobs`: what is remembered of each, as the real one writes it."""

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}

    def recall(self, job):
        text = self.jobs.get(job)
        return None if text is None else remembered.read(text)

    def fetched(self, job):
        pass

    def note(self, ended, _at, kept):
        self.jobs[ended.job] = remembered.written(kept)

    def keep(self, job, kept):
        self.jobs[job] = remembered.written(kept)

    def rename(self, old, new):
        if old in self.jobs:
            self.jobs[new] = self.jobs.pop(old)
