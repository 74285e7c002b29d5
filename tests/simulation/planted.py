"""Bugs that are planted to see that the simulation catches them: `python -m tests.simulation --plant NAME`."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from random import Random
from unittest.mock import patch

from refresher.core import due
from refresher.keeping import Keeping
from refresher.providers import failure
from refresher.scheduler.apscheduler import Bell
from refresher.walks import Walks

ONE_IN = 1000


@contextmanager
def bell_forgets() -> Iterator[None]:
    """One in a thousand times that a job is to be rung for, nobody is told. The sweep makes up for it."""
    random, schedule = Random("bell"), Bell.schedule

    def forgetful(self, name, delay):
        if random.randrange(ONE_IN):
            schedule(self, name, delay)
        else:
            self.cancel(name)

    with patch.object(Bell, "schedule", forgetful):
        yield


@contextmanager
def job_forgotten() -> Iterator[None]:
    """After one walk in a thousand the job is taken to be busy still: the bell's wake-up and the sweep's are lost."""
    random, run = Random("walk"), Walks._run

    async def forgetful(self, charge):
        if not random.randrange(ONE_IN):
            self._looking.add(charge.job.name)
        await run(self, charge)

    with patch.object(Walks, "_run", forgetful):
        yield


@contextmanager
def unknown_forgotten() -> Iterator[None]:
    """A grant whose answer was lost is taken to be unspent."""
    withdraw = Keeping.withdraw

    async def forgetful(self, charge, *, unknown):
        del unknown
        await withdraw(self, charge, unknown=False)

    with patch.object(Keeping, "withdraw", forgetful):
        yield


@contextmanager
def unjournalled() -> Iterator[None]:
    """An answer is not in the journal before it goes to Vault, though the state record's write fails now and then."""

    async def forgetful(_self, _charge):
        pass

    with patch.object(Keeping, "note", forgetful), patch.object(Keeping, "record", _once(Keeping.record)):
        yield


def _once(record):
    """Give an answer up when the first write fails."""

    async def forgetful(self, charge):
        try:
            await record(self, charge)
        except Exception:
            charge.unkept = charge.unwritten = charge.intent = None
            raise

    return forgetful



def planted(name: str) -> AbstractContextManager[None]:
    """Return a context in which the bug of that name is there. Raises ValueError."""
    match name:
        case "":
            return nullcontext()
        case "bell":
            return bell_forgets()
        case "wake-up":
            return job_forgotten()
        case "retry-after":
            return patch.object(failure.retry, "wait", lambda *_: None)
        case "unknown":
            return unknown_forgotten()
        case "journal":
            return unjournalled()
        case "hurry":
            return patch.object(due, "lead", lambda lifetime, *_, **__: lifetime / 2)
        case _:
            raise ValueError(f"--plant {name}: there are {', '.join(NAMES)}")


NAMES = ("bell", "wake-up", "retry-after", "unknown", "journal", "hurry")
