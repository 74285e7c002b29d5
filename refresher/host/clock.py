"""The one module that reads the clock."""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """ports.Clock on the machine's own clocks."""

    def now(self) -> datetime:
        """Return the wall clock's time, aware, in UTC; it may jump."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps; its zero means nothing."""
        return time.monotonic()

    async def sleep(self, span: timedelta) -> None:
        """Wait for `span`; a negative one only lets other tasks run."""
        await asyncio.sleep(max(0.0, span.total_seconds()))
