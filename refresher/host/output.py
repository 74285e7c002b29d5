"""The way out of the process for log lines: it never raises and never makes the caller wait.

A thread writes, since a pipe whose reader has stopped, or a full disk on a slow mount, holds the writer for as long as
it likes. Rules:
- `put` only appends to a queue of bounded length; what does not fit is dropped and counted.
- What can't be written is dropped and counted. The first write that works again is preceded by one line with the count.
- What waits is written in one go: a thread that writes line by line would wait for the interpreter lock at each.
"""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, TextIO

QUEUE_LIMIT: Final = 4096  # lines, about 2 MB of usual ones
BATCH_LIMIT: Final = 256  # lines in one write
STALL: Final = 1000  # milliseconds to wait for a non-blocking stream that is full, before its lines are dropped


class Output:
    """Takes lines and writes them to `stream`; `lost(n)` renders the line that tells of n dropped ones.

    A stream without a file descriptor is memory: it can't stall, and is written at once.
    """

    def __init__(self, stream: TextIO, lost: Callable[[int], str]) -> None:
        self._stream = stream
        self._lost = lost
        self._queue: SimpleQueue[str | threading.Event | None] = SimpleQueue()  # its put may interrupt itself (a hook)
        self._refused = 0  # by put
        self._failed = 0  # by the writer
        self._told = 0
        self._torn = False
        try:
            self._fd = stream.fileno()
        except (AttributeError, OSError, ValueError):
            self._fd = -1
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        if self._fd >= 0:
            self._thread.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost since the start."""
        return self._refused + self._failed

    def put(self, line: str) -> None:
        """Take `line`, which ends with its one newline."""
        if self._fd < 0:
            self._emit([line])
        elif self._queue.qsize() >= QUEUE_LIMIT:
            self._refused += 1
        else:
            self._queue.put(line)

    # structlog calls the method named like the level
    debug = info = warning = error = critical = msg = put

    def flush(self, seconds: float = 1.0) -> bool:
        """Wait until what was put is written, at most `seconds`; say whether it is."""
        if not self._thread.is_alive():
            return True
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def close(self) -> None:
        """Write what is waiting, for at most a second, and end the thread: the stream may be closed after that."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        closed = False
        while not closed:
            waiting = [self._queue.get()]
            # the only reader: what the queue says it holds can be had without waiting
            waiting += [self._queue.get() for _ in range(min(self._queue.qsize(), BATCH_LIMIT))]
            self._emit([item for item in waiting if isinstance(item, str)])
            for item in waiting:
                if isinstance(item, threading.Event):
                    item.set()
            closed = None in waiting

    def _emit(self, lines: list[str]) -> None:
        untold = self.dropped - self._told
        report = [self._lost(untold)] if untold else []
        written = self._write(report + lines)
        if report and written:
            self._told += untold
            written -= 1
        self._failed += len(lines) - written

    def _write(self, lines: list[str]) -> int:
        """Write and return how many whole lines got through."""
        text = "".join(lines)
        if self._fd < 0:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # a closed file object raises ValueError
                return 0
            return text.count("\n")
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        sent = 0
        try:
            if self._torn:
                self._some(b"\n")
            while sent < len(data):
                sent += self._some(data[sent:])
        except OSError:
            pass
        if sent:
            self._torn = data[sent - 1 : sent] != b"\n"
        return data.count(b"\n", 0, sent)

    def _some(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:  # somebody else made the shared terminal or pipe non-blocking
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)
            if not poll.poll(STALL):
                raise
            return 0
