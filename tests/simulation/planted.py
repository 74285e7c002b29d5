"""Bugs that are planted to see that the simulation catches them: `python -m tests.simulation --plant NAME`."""

from collections.abc import Callable, Iterator
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
    random, schedule = Random("bell"), Bell.schedule  # noqa: S311  # nothing is kept secret by it

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
    random, run = Random("walk"), Walks._run  # noqa: S311  # nothing is kept secret by it

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


def retry_after_forgotten() -> AbstractContextManager[object]:
    """Nothing of how long a provider asks to stay away is heard."""
    return patch.object(failure.retry, "wait", lambda *_: None)


def hurry() -> AbstractContextManager[object]:
    """Every token is renewed at half of its life."""
    return patch.object(due, "lead", lambda lifetime, *_, **__: lifetime / 2)


PLANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "bell": bell_forgets,
    "wake-up": job_forgotten,
    "retry-after": retry_after_forgotten,
    "unknown": unknown_forgotten,
    "journal": unjournalled,
    "hurry": hurry,
}
NAMES = tuple(PLANTS)


def planted(name: str) -> AbstractContextManager[object]:
    """Return a context in which the bug of that name is there, or none for `""`. Raises ValueError."""
    if name and name not in PLANTS:
        raise ValueError(f"--plant {name}: there are {', '.join(NAMES)}")
    return PLANTS[name]() if name else nullcontext()
