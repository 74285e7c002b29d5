"""What happens at a point: the process is killed, an exception is raised, or all waits; or it is only told.

Each deed is told first, as a line of JSON on standard error: {"event": "failpoint", "point", "deed"}.
"""

import asyncio
import errno
import functools
import inspect
import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tests.failpoints.points import POINTS, REQUEST, Point

STALL_S = 5
ERRORS: dict[str, BaseException] = {
    "oserror": OSError(errno.EIO, "a failpoint"),
    "bug": ZeroDivisionError("a failpoint"),
    "memory": MemoryError("a failpoint"),
    "recursion": RecursionError("a failpoint"),
    "exit": SystemExit("a failpoint"),
}
DEEDS = ("kill", "stall", "trace", *ERRORS)


class Fuse:
    """One deed at one point, at its `nth` occurrence alone."""

    def __init__(self, name: str, deed: str, nth: int) -> None:
        self.name, self.deed, self.left = name, deed, nth
        self._lock = threading.Lock()

    def burns(self) -> float:
        """Do the deed if this is the time for it; return how long to wait."""
        with self._lock:
            self.left -= 1
            if self.left != 0:
                return 0
        said = json.dumps({"event": "failpoint", "level": "info", "point": self.name, "deed": self.deed})
        os.write(2, f"{said}\n".encode())
        if self.deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if (error := ERRORS.get(self.deed)) is not None:
            raise error
        return STALL_S if self.deed == "stall" else 0


def arm(name: str, deed: str, nth: int) -> None:
    """Have `deed` done at the point `name` of this process."""
    if deed not in DEEDS:
        raise ValueError(f"no such deed: {deed}")
    _follow_the_wire()
    point = POINTS[name]
    owner, attribute = find(point)
    setattr(owner, attribute, _around(vars(owner)[attribute], point, Fuse(name, deed, nth)))


def find(point: Point) -> tuple[Any, str]:
    """Return what holds the function of `point`, and its name there."""
    module, _, path = point.target.partition(":")
    *outer, attribute = path.split(".")
    owner = functools.reduce(getattr, outer, import_module(module))
    if not inspect.isroutine(vars(owner)[attribute]):
        raise TypeError(f"{point.target} is no function")
    return owner, attribute


def _around(function: Any, point: Point, fuse: Fuse) -> Any:
    if inspect.iscoroutinefunction(function):

        async def slow(*words: Any, **more: Any) -> Any:
            meant = point.which(*words, **more)
            if meant and point.when == "before":
                await asyncio.sleep(fuse.burns())
            done = await function(*words, **more)
            if meant and point.when == "after":
                await asyncio.sleep(fuse.burns())
            return done

        return slow

    def quick(*words: Any, **more: Any) -> Any:
        meant = point.which(*words, **more)
        if meant and point.when == "before":
            time.sleep(fuse.burns())
        done = function(*words, **more)
        if meant and point.when == "after":
            time.sleep(fuse.burns())
        return done

    return quick


@functools.cache
def _follow_the_wire() -> None:
    """Let points under the wire know what it is busy with."""
    from refresher.http import Wire  # noqa: PLC0415  # a process that arms nothing is as it was

    exchange = Wire._exchange

    @contextmanager
    def busy(request: Any) -> Any:
        token = REQUEST.set(request)
        try:
            yield
        finally:
            REQUEST.reset(token)

    async def followed(wire: Any, request: Any) -> Any:
        with busy(request):
            return await exchange(wire, request)

    Wire._exchange = followed
