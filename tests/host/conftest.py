import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest
import structlog

from refresher.core.settings import LogSettings
from refresher.host import log


class Logged(io.StringIO):
    """A standard error in memory; `lines()` are the objects on it."""

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def configured() -> Iterator[Callable[..., Logged]]:
    """Configure the log for one test, `configured(level=..., format=...)`, and put the process back as it was."""
    root = logging.getLogger()
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning
    loggers = {name: logging.getLogger(name) for name in log.LIBRARIES}
    levels = {name: logger.level for name, logger in loggers.items()}
    kept = root.handlers[:], root.level, logging.raiseExceptions

    def configure(**settings: str) -> Logged:
        stream = Logged()
        log.configure(LogSettings(**({"format": "json"} | settings)), stream=stream)
        return stream

    yield configure

    log._close()
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = hooks
    root.handlers[:], root.level, logging.raiseExceptions = kept
    for name, level in levels.items():
        loggers[name].setLevel(level)
