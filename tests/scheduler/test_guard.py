"""The locks of a node's guard: none stays behind that nobody has in hand. test_engine.py has real ones."""

import asyncio

import pytest

from refresher.scheduler.guard import Guard


class Session:
    """asyncpg's connection to a server that does what it is told. `late`: what an answer waits for."""

    def __init__(self, locks):
        self.locks, self.late, self.closed = locks, None, False

    def add_termination_listener(self, _):
        pass

    def is_closed(self):
        return self.closed

    def terminate(self):
        self.closed = True
        for key in [key for key, (who, _) in self.locks.items() if who is self]:
            del self.locks[key]

    async def fetchval(self, statement, *values, **_):
        answer = self._do(statement, *values)
        if self.late is not None:
            async with asyncio.timeout(0.1):  # asyncpg's deadline; what the server did is done
                await self.late.wait()
        return answer

    def _do(self, statement, *values):
        who, count = self.locks.get(values[0], (self, 0)) if values else (self, 0)
        if "try_advisory" in statement:
            if who is self:
                self.locks[values[0]] = (self, count + 1)
            return who is self
        if "unlock" in statement and who is self and count:
            self.locks[values[0]] = (self, count - 1)
            if count == 1:
                del self.locks[values[0]]
        return True


@pytest.fixture
def sessions():
    locks = {}
    return Session(locks), Session(locks)


@pytest.fixture
def guards(sessions):
    return [Guard(one, "schema", lambda: None) for one in sessions]


async def test_a_lock_of_which_nobody_heard_in_time_goes_with_its_session(sessions, guards):
    (mine, _), (one, two) = sessions, guards
    mine.late = asyncio.Event()
    with pytest.raises(TimeoutError):
        await one.take("crm")
    assert mine.closed
    assert await two.take("crm")


async def test_a_lock_whose_asker_left_is_given_back_and_the_session_lives_on(sessions, guards):
    (mine, _), (one, two) = sessions, guards
    mine.late = asyncio.Event()
    taking = asyncio.ensure_future(one.take("crm"))
    await asyncio.sleep(0.01)
    taking.cancel()
    await asyncio.wait([taking])
    assert taking.cancelled()
    assert not await two.take("crm"), "the server has done it already"
    mine.late.set()
    await asyncio.sleep(0.01)
    assert not mine.closed
    assert await two.take("crm")
    await two.give("crm")
    assert await one.take("crm"), "and it may be taken again"


async def test_a_lock_is_given_back_although_whoever_gives_it_leaves(sessions, guards):
    (mine, _), (one, two) = sessions, guards
    assert await one.take("crm")
    await one._turn.acquire()  # the session is asked something else
    giving = asyncio.ensure_future(one.give("crm"))
    await asyncio.sleep(0.01)
    giving.cancel()
    await asyncio.wait([giving])
    one._turn.release()
    await asyncio.sleep(0.01)
    assert not mine.closed
    assert await two.take("crm")
