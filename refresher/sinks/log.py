"""Events as lines of the log; host/log.py says how they look and where they go."""

import logging
from typing import Final

import structlog

from refresher.core.events import Event, Level

_LEVELS: Final[dict[Level, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogSink:
    """ports.Sink over structlog."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def tell(self, event: Event) -> None:
        """Write one line for `event`."""
        self._log.log(_LEVELS[event.level], event.name, job=event.job, **event.fields)
