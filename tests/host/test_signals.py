"""Signals: the loop's while the context lasts, and nobody's after it where the process is ending."""

import asyncio
import os
import signal

import pytest

from refresher.host import signals

NUMBERS = (signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def _as_before():
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.fault("F6")
@pytest.mark.parametrize("last", [False, True])
async def test_signals_are_heard_while_the_context_lasts(last):
    heard = asyncio.Event()
    with signals.handled(dict.fromkeys(NUMBERS, heard.set), last=last):
        os.kill(os.getpid(), signal.SIGUSR1)
        await heard.wait()

    wanted = signal.SIG_IGN if last else signal.SIG_DFL
    assert {signal.getsignal(number) for number in NUMBERS} == {wanted}
    if last:
        os.kill(os.getpid(), signal.SIGUSR1)  # its default would end us
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(NUMBERS)
