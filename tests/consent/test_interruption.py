"""A signal ends the wait for a person, and nothing else."""

import asyncio
import os
import signal
from datetime import timedelta

import pytest

from refresher.consent import InterruptedWaitError, Interruption
from refresher.consent.interruption import SIGNALS

LONG = timedelta(minutes=1)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_the_wait(number):
    interruption = Interruption()
    with interruption.signals():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        with pytest.raises(InterruptedWaitError) as end:
            await interruption.pause(LONG)
    assert end.value.number == number


async def test_a_signal_between_two_waits_ends_the_next_one():
    interruption = Interruption()
    interruption.interrupt(signal.SIGINT)
    interruption.interrupt(signal.SIGTERM)
    with pytest.raises(InterruptedWaitError) as end:
        await interruption.pause(LONG)
    assert end.value.number == signal.SIGINT


async def test_what_came_counts_more_than_a_signal():
    interruption = Interruption()
    answer = asyncio.get_running_loop().create_future()
    answer.set_result("a code")
    interruption.interrupt(signal.SIGINT)
    assert await interruption.answer(answer, within=LONG) == "a code"


async def test_nothing_comes_in_time():
    interruption = Interruption()
    answer = asyncio.get_running_loop().create_future()
    assert await interruption.answer(answer, within=timedelta(milliseconds=1)) is None
    assert not answer.cancelled()


async def test_the_handlers_of_before_are_back_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with Interruption().signals():
        pass
    assert signal.getsignal(signal.SIGTERM) == before
