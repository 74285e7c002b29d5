"""The log: structlog on standard error, one line for each event.

Rules of this module:
- Nobody else's text reaches standard error. A library's message may quote a URL, a header or a body, so it is replaced
  by the logger's name, the level and the place in the code; a traceback by type names and our own frames.
- The same holds at level debug: it adds lines of ours, none of the libraries'.
- Logging never raises into the caller and never waits (host/output.py).

The names of this module's own lines are in docs/reference/events.md beside those of core/events.py.
"""

import asyncio
import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from refresher.core.settings import LogSettings
from refresher.host import lines
from refresher.host.clock import SystemClock
from refresher.host.journald import JournalOutput, entry, is_journal, prefixed
from refresher.host.output import Output

LIBRARY_MESSAGE: Final = "library_message"
UNEXPECTED: Final = "unexpected"
LOG_DROPPED: Final = "log_dropped"
LOG_FAULT: Final = "log_fault"

LIBRARIES: Final = ("aiohttp", "apscheduler", "asyncio", "httpcore", "httpx", "hvac", "pgqueuer", "requests", "urllib3")

_clock: Final = SystemClock()
_open: Final[list[Output]] = []


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> Output:
    """Send every line of the process to `stream` (standard error); return it, for `flush` and `dropped`.

    A later call, as on reload, replaces the earlier one. `format = "auto"`: words on a terminal, entries with fields in
    systemd's journal, JSON elsewhere.
    """
    # a process started without a standard error has None there
    stream = stream or sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for its whole life
    journal = is_journal(stream)
    render = _renderer(settings, stream, journal=journal)
    _close()
    way_out = JournalOutput if journal and settings.format == "auto" else Output
    output = way_out(stream, lambda count: render(_members("warning", LOG_DROPPED, {"count": count})))
    _open.append(output)
    structlog.configure(
        processors=[_Compose(render)],
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    _silence_libraries()
    sys.excepthook = lambda _type, error, _trace: _unexpected("main", error)
    sys.unraisablehook = lambda what: _unexpected("finalizer", what.exc_value)
    threading.excepthook = lambda what: _unexpected("thread", what.exc_value)
    return output


@atexit.register
def _close() -> None:
    while _open:
        _open.pop().close()


def dropped() -> int:
    """Return how many lines were lost since the start, or since the log was last configured."""
    return sum(output.dropped for output in _open)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Report what `loop` would have printed (a task's exception that nobody asked for) as a line of ours."""
    loop.set_exception_handler(lambda _loop, context: _unexpected("event loop", context.get("exception")))


def _renderer(settings: LogSettings, stream: TextIO, *, journal: bool) -> Callable[[Mapping[str, lines.Plain]], str]:
    terminal = stream.isatty()
    if journal:
        plain = lines.as_text(coloured=False) if settings.format == "text" else lines.as_json
        return entry if settings.format == "auto" else prefixed(plain)
    if settings.format == "json" or (settings.format == "auto" and not terminal):
        return lines.as_json
    return lines.as_text(coloured=terminal and not os.environ.get("NO_COLOR"))  # no-color.org


class _Compose:
    """The one structlog processor: from an event to its line."""

    def __init__(self, render: Callable[[Mapping[str, lines.Plain]], str]) -> None:
        self._render = render

    def __call__(self, _logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        try:
            return self._render(_members(method, str(event.pop("event", "")), event))
        except Exception:  # noqa: BLE001  # a value that can't even be looked at must not stop a rotation
            return self._render(_members("error", LOG_FAULT, {}))


def _members(level: str, event: str, fields: Mapping[str, object]) -> dict[str, lines.Plain]:
    members: dict[str, lines.Plain] = {
        "timestamp": lines.timestamp(_clock.now()),
        "level": level,
        "event": lines.plain(event),
    }
    if job := fields.get("job"):
        members["job"] = lines.plain(job)
    for key, value in fields.items():
        if key == "exc_info":
            members |= _exception(value)
        elif key not in members and key != "job":
            members[key] = lines.plain(value)
    return members


def _exception(info: object) -> dict[str, lines.Plain]:
    """Return the member for structlog's and logging's `exc_info`: an exception, their triple, or True for this one."""
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    return {"exception": lines.describe(error)} if isinstance(error, BaseException) else {}


class _Bridge(logging.Handler):
    """Turns a record of the standard logging into a line that quotes nothing of it."""

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING
        at = f"{record.module}:{record.lineno}"
        structlog.get_logger().log(level, LIBRARY_MESSAGE, logger=record.name, at=at, exc_info=record.exc_info)


def _silence_libraries() -> None:
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(logging.WARNING)]
    root.setLevel(logging.WARNING)
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.WARNING)
        logger.propagate = True


def _unexpected(where: str, error: BaseException | None) -> None:
    structlog.get_logger().error(UNEXPECTED, where=where, exc_info=error)
