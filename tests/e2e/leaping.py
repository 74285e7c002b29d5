"""`python leaping.py FILE run ...`: refresher on a machine whose wall clock is set while it runs.

FILE says by how many seconds that clock is apart from this machine's, and, after a space, in which time zone the
machine is; it is read at each look at the clock. The monotonic clock, and with it every sleep, is this machine's own.
"""

import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from apscheduler.executors import base as executors
from apscheduler.schedulers import base as schedulers

from refresher.cli import main
from refresher.host.clock import SystemClock

now = SystemClock.now


def apart(file: Path) -> timedelta:
    seconds, _, zone = file.read_text().partition(" ")
    if zone and os.environ.get("TZ") != zone:
        os.environ["TZ"] = zone
        time.tzset()
    return timedelta(seconds=float(seconds))


def install(file: Path) -> None:
    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + apart(file)

    SystemClock.now = lambda _clock: now() + apart(file)
    schedulers.datetime = executors.datetime = Shifted  # the bell's library has a look of its own


if __name__ == "__main__":
    install(Path(sys.argv.pop(1)))
    sys.exit(main())
