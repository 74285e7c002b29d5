"""The running daemon as another verb meets it: found by its sockets, asked by HTTP, answering in JSON lines.

    RefresherError
    `-- DaemonError          it did not do what was asked; the text says why
        |-- NoDaemonError    none runs for this jobs.toml
        `-- DeniedError      one runs, and does not let us

Who asks for one jobs.toml gets no answer for another: `refresher --config ./jobs.toml` on a host with a service of its
own is no affair of that service.
"""

import http.client
import json
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from refresher.control.names import PING_S, Verb, Which, socket_of
from refresher.core.errors import RefresherError
from refresher.core.settings import Settings
from refresher.host import paths, sockets

LOOK_S: Final = 5.0  # an answer from memory comes at once, or the daemon hangs
BRIEF: Final = ("/logins", "/fleet")  # answers of a few lines
LINE_S: Final = PING_S * 3  # without a line, not even an empty one: rows of very many jobs take a while, as deeds do
LONGEST: Final = 1 << 20  # bytes of a line


class DaemonError(RefresherError):
    """The running daemon did not do what was asked."""


class NoDaemonError(DaemonError):
    """No daemon runs for this jobs.toml."""


class DeniedError(DaemonError):
    """A daemon runs here, and its socket is closed to us."""


def jobs(settings: Settings) -> list[dict[str, Any]]:
    """Return the rows of `status`. Raises DaemonError."""
    return list(_asked(settings, "view", "/jobs"))


def logins(settings: Settings) -> list[dict[str, Any]]:
    """Return the logins to Vault that somebody has to see to; none where an older daemon knows of no such question."""
    try:
        return list(_asked(settings, "view", "/logins"))
    except DaemonError:
        return []


def fleet(settings: Settings) -> dict[str, Any] | None:
    """Return the nodes as the daemon sees them; None: it is alone, or older than that. Raises DaemonError."""
    try:
        return next(_asked(settings, "view", "/fleet"), None)
    except NoDaemonError:
        raise
    except DaemonError:
        return None


def plan(settings: Settings, seconds: int) -> list[dict[str, Any]]:
    """Return the objects of `plan --json`. Raises DaemonError."""
    return list(_asked(settings, "view", f"/plan?for={seconds}"))


def ask(settings: Settings, verb: Verb, words: Mapping[str, object]) -> Iterator[dict[str, Any]]:
    """Have the daemon do something, and yield its answer line by line. Raises DaemonError."""
    return _asked(settings, "control", f"/{verb}", json.dumps(words).encode())


def _asked(settings: Settings, which: Which, target: str, body: bytes | None = None) -> Iterator[dict[str, Any]]:
    config = os.path.abspath(settings.file)  # noqa: PTH100  # as the daemon says it: links stay
    patience = LOOK_S if target in BRIEF else LINE_S
    target += ("&" if "?" in target else "?") + urlencode({"config": config})
    denied: Path | None = None
    other = ""
    for place in paths.runtime_dirs(paths.state_dir(settings.state_dir), settings.instance):
        socket = socket_of(place, which, settings.instance)
        connection = http.client.HTTPConnection("localhost")
        try:
            connection.sock = sockets.connected(socket, LOOK_S)
        except PermissionError:
            if denied is None or os.path.exists(socket):  # noqa: PTH110  # Path's raises where we may not look
                denied = socket
            continue
        except OSError as error:
            if isinstance(error, TimeoutError | BlockingIOError):
                raise DaemonError(f"the daemon at {socket} does not answer") from None
            continue
        try:
            connection.sock.settimeout(patience)
            connection.request("GET" if body is None else "POST", target, body)
            answer = connection.getresponse()
            if answer.status != HTTPStatus.MISDIRECTED_REQUEST:
                yield from _lines(answer)
                return
            other = _why(answer)
        except TimeoutError:
            raise DaemonError(f"the daemon at {socket} does not answer") from None
        except (OSError, http.client.HTTPException, ValueError):
            raise DaemonError(f"the daemon at {socket} ended in the midst of its answer") from None
        finally:
            connection.close()
    if denied is not None:
        whose = "root and the daemon's own user" if which == "control" else "the daemon's group"
        raise DeniedError(f"{denied} is for {whose}: ask as one of them (sudo refresher ...)")
    raise NoDaemonError(f"no daemon runs for {settings.file}" + (f": {other}" if other else ""))


def _lines(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    if answer.status == HTTPStatus.FORBIDDEN:
        raise DeniedError(_why(answer))
    if answer.status != HTTPStatus.OK:
        raise DaemonError(_why(answer))
    while line := answer.readline(LONGEST):
        if line.strip():
            members = json.loads(line)
            if members.keys() == {"error"}:
                raise DaemonError(str(members["error"]))
            yield members


def _why(answer: http.client.HTTPResponse) -> str:
    return str(json.loads(answer.read(LONGEST))["error"])
