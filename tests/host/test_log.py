"""The log of a whole process: what it says, and everything that it must not say."""

import asyncio
import io
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx
import pytest
import structlog

from refresher.core.secret import Secret
from refresher.core.settings import LogSettings
from refresher.host import log
from tests.guards.canaries import Canaries
from tests.host.conftest import Logged


def test_the_order_of_a_line(configured: Callable[..., Logged]) -> None:
    stderr = configured()
    structlog.get_logger().info("rotated", version=3, job="crm", path="secret/tokens/crm")
    (line,) = stderr.lines()
    assert list(line) == ["timestamp", "level", "event", "job", "version", "path"]
    assert datetime.fromisoformat(str(line.pop("timestamp"))).utcoffset().total_seconds() == 0
    assert line == {"level": "info", "event": "rotated", "job": "crm", "version": 3, "path": "secret/tokens/crm"}
    assert stderr.getvalue().count("Z") == 1


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_the_level_is_the_least_that_is_shown(configured: Callable[..., Logged], level: str) -> None:
    levels = ["debug", "info", "warning", "error"]
    stderr = configured(level=level)
    for one in levels:
        getattr(structlog.get_logger(), one)("rotated")
    assert [line["level"] for line in stderr.lines()] == levels[levels.index(level) :]


def test_a_later_configuration_replaces_the_earlier(configured: Callable[..., Logged]) -> None:
    logger = structlog.get_logger()
    first, second = configured(level="error"), configured(level="debug")
    logger.debug("rotated")
    assert (len(first.lines()), len(second.lines())) == (0, 1)


class Terminal(Logged):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("format_", "stream", "begins"),
    [("auto", Logged, "{"), ("auto", Terminal, "\x1b[2m2"), ("json", Terminal, "{"), ("text", Logged, "2")],
)
def test_words_on_a_terminal_and_json_elsewhere(
    configured: Callable[..., Logged], monkeypatch: pytest.MonkeyPatch, format_, stream: type[Logged], begins: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    configured()
    log.configure(LogSettings(format=format_), stream=(stderr := stream()))
    structlog.get_logger().info("rotated")
    assert stderr.getvalue().startswith(begins)


def test_no_color_is_heeded(configured: Callable[..., Logged], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    configured()
    log.configure(LogSettings(), stream=(stderr := Terminal()))
    structlog.get_logger().info("rotated")
    assert "\x1b" not in stderr.getvalue()


class Hostile(dict):
    def items(self) -> None:
        raise RuntimeError("canary")


def test_a_value_that_cannot_be_looked_at_stops_nobody(configured: Callable[..., Logged]) -> None:
    stderr = configured()
    structlog.get_logger().info("rotated", job="crm", value=Hostile())
    assert [line["event"] for line in stderr.lines()] == ["log_fault"]
    assert "canary" not in stderr.getvalue()


@pytest.mark.parametrize("format_", ["json", "text"])
@pytest.mark.leak("L1", "L2", "L3", "L11")
def test_no_library_is_quoted_even_at_debug(
    configured: Callable[..., Logged], canaries: Canaries, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    stderr = configured(level="debug", format=format_)
    secret = canaries.plant("client_secret")
    chatty = logging.getLogger("somebody.else")
    monkeypatch.setattr(chatty, "level", logging.DEBUG)
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        client.get(f"https://idp.example/token?client_secret={secret}")  # httpx logs every URL
    for name in (*log.LIBRARIES, "somebody.else"):
        logging.getLogger(name).debug("body %s", secret)
        logging.getLogger(name).warning("body %s", secret)
        logging.getLogger(name).error("body %d", secret)  # a wrong argument: logging would print it
        try:
            int(secret, 2)  # its error quotes it
        except ValueError:
            logging.getLogger(name).exception(secret)
    canaries.check(stderr.getvalue())
    assert len(stderr.getvalue().splitlines()) == 3 * (len(log.LIBRARIES) + 1)
    if format_ == "json":
        assert {line["event"] for line in stderr.lines()} == {"library_message"}
        assert stderr.lines()[-1] | {"timestamp": "", "at": ""} == {
            "timestamp": "",
            "level": "error",
            "event": "library_message",
            "logger": "somebody.else",
            "at": "",
            "exception": "ValueError",
        }


@pytest.mark.leak("L1")
def test_handlers_that_were_there_before_are_gone(configured: Callable[..., Logged]) -> None:
    before = io.StringIO()
    for name in ("httpx", ""):
        logging.getLogger(name).addHandler(logging.StreamHandler(before))
    stderr = configured()
    logging.getLogger("httpx").warning("canary")
    assert before.getvalue() == ""
    assert len(stderr.lines()) == 1


@pytest.mark.leak("L8", "L9")
def test_no_local_is_ever_shown(configured: Callable[..., Logged], canaries: Canaries) -> None:
    pytest.importorskip("rich")  # with it, structlog's own renderer shows locals
    stderr = configured(level="debug")
    access_token = canaries.plant("access_token")
    try:
        int(access_token, 2)  # its error quotes it
    except ValueError as error:
        structlog.get_logger().exception("unexpected")
        structlog.get_logger().error("unexpected", exc_info=error, secret=Secret(access_token), error=error)
        structlog.get_logger().error("unexpected", exc_info=(type(error), error, error.__traceback__))
    canaries.check(stderr.getvalue())
    assert [line["exception"] for line in stderr.lines()] == ["ValueError"] * 3


@pytest.mark.leak("L5")
def test_a_task_that_nobody_asked_is_reported(configured: Callable[..., Logged], canaries: Canaries) -> None:
    stderr = configured()
    secret = canaries.plant("token")

    async def fails() -> None:
        raise ValueError(secret)

    async def main() -> None:
        log.watch(asyncio.get_running_loop())
        task = asyncio.get_running_loop().create_task(fails())
        await asyncio.wait([task])
        del task  # asyncio tells of the exception when the task is collected

    asyncio.run(main())
    canaries.check(stderr.getvalue())
    (line,) = stderr.lines()
    assert (line["event"], line["where"], line["exception"]) == ("unexpected", "event loop", "ValueError")


HEAD = """
import os, sys, threading, warnings, logging, asyncio, structlog
from refresher.core.settings import LogSettings
from refresher.host import log
out = log.configure(LogSettings(level="debug"))
canary = os.environ["CANARY"]
"""

ENDS = {
    "main": "def f(local): raise KeyError(local)\nf(canary)",
    "thread": "t = threading.Thread(target=int, args=[canary]); t.start(); t.join()",
    "finalizer": "class D:\n    def __del__(self): raise OSError(canary)\nD()",
    "group": "async def f():\n async with asyncio.TaskGroup() as g: g.create_task(f2())\n"
    "async def f2(): raise OSError(canary)\nasyncio.run(f())",
    "warning": "warnings.simplefilter('always'); warnings.warn(canary)",
    "asyncio debug": "async def f(): raise OSError(canary)\n"
    "async def g():\n t = asyncio.get_running_loop().create_task(f()); await asyncio.wait([t]); del t\n"
    "asyncio.run(g(), debug=True)",
    "another handler": "x = logging.getLogger('x'); x.addHandler(logging.StreamHandler(open(os.devnull, 'w')))\n"
    "x.error('%d', canary)",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.leak("L5", "L11")
def test_nothing_reaches_standard_error_verbatim(canaries: Canaries, end: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(HEAD + textwrap.dedent(end))
    ran = subprocess.run(
        [sys.executable, str(program)],
        env={"CANARY": canaries.plant("canary"), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    canaries.check(ran.stdout, ran.stderr)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines] in (["unexpected"], ["library_message"])


def test_a_process_without_standard_error_runs() -> None:
    program = HEAD.replace('os.environ["CANARY"]', '""') + "structlog.get_logger().info('rotated'); print('went on')"
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("went on\n", "")


def test_the_last_line_is_written_before_the_end() -> None:
    program = (
        HEAD.replace('os.environ["CANARY"]', '""') + "[structlog.get_logger().info('rotated') for _ in range(500)]"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert len(ran.stderr.splitlines()) == 500
