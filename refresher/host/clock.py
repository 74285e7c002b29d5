"""The one module that reads the clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial


class SystemClock:
    """ports.Clock on the machine's own clocks."""

    now = staticmethod(partial(datetime.now, UTC))
    """Return the wall clock's time, aware, in UTC; it may jump."""

    monotonic = staticmethod(time.monotonic)
    """Return seconds of a clock that never jumps; its zero means nothing."""

    async def sleep(self, span: timedelta) -> None:
        """Wait for `span`; a negative one only lets other tasks run."""
        await asyncio.sleep(max(0.0, span.total_seconds()))
