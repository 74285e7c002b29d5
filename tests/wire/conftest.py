from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from refresher.http import Wire


@pytest.fixture
async def wired() -> AsyncIterator[Callable[..., Wire]]:
    """Make wires, `wired(deadline=0.5, keepalive=0)` in seconds; they are closed at the end."""
    async with AsyncExitStack() as stack:

        def wired(deadline: float = 5, keepalive: float = 60, **settings: object) -> Wire:
            spans = {"deadline": timedelta(seconds=deadline), "keepalive": timedelta(seconds=keepalive)}
            wire = Wire(**spans, **settings)
            stack.push_async_callback(wire.aclose)
            return wire

        yield wired
