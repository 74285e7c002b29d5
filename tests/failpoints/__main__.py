"""Run refresher's command line with a deed at a point of it.

python -m tests.failpoints POINT DEED NTH -- run --config FILE     in this process
python -m tests.failpoints trace -- run --config FILE              tell each point that is reached
python -m tests.failpoints serve                                   any number of times, each in a fork of this process

`serve` has everything imported once, so that a start costs milliseconds. It reads lines of JSON, {"words", "log"}:
`words` are those of the first two forms, `log` is a path. It answers {"pid"}, and {"pid", "ended"} with the exit code
when one has ended. All end with it.
"""

import atexit
import ctypes
import json
import os
import select
import signal
import sys
from importlib import import_module
from typing import Any

from tests.failpoints.deeds import arm
from tests.failpoints.points import POINTS

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
NEEDED = (
    "apscheduler.triggers.date",
    "cryptography.hazmat.primitives.ciphers.aead",
    "refresher.cli._call",
    "refresher.cli.run",
    "refresher.config.settings",
    "refresher.daemon",
    "refresher.scheduler.apscheduler",
)


def run(words: list[str]) -> int:
    from refresher.cli import main  # noqa: PLC0415  # after the points are armed, where that is by module

    split = words.index("--")
    match words[:split]:
        case ["trace"]:
            for name in POINTS:
                arm(name, "trace", 1)
        case [name, deed, nth]:
            arm(name, deed, int(nth))
        case []:
            pass
        case _:
            sys.exit(__doc__)
    return main(words[split + 1 :])


def serve() -> None:
    """Fork on request until standard input ends."""
    for name in NEEDED:
        import_module(name)
    running: dict[int, int] = {}  # process ids by pidfd
    buffer = b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        for file, _ in poll.poll():
            if file in running:
                poll.unregister(file)
                os.close(file)
                pid = running.pop(file)
                _say(pid=pid, ended=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                continue
            if not (read := os.read(0, 65536)):
                return
            *lines, buffer = (buffer + read).split(b"\n")
            for line in lines:
                pid = _fork(json.loads(line))
                pidfd = os.pidfd_open(pid)
                running[pidfd] = pid
                poll.register(pidfd, select.POLLIN)
                _say(pid=pid)


def _say(**members: Any) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def _fork(wanted: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
            os.dup2(file, number)
        code = run(wanted["words"])
    except SystemExit as end:  # as the interpreter takes it
        code = end.code if isinstance(end.code, int) else 1
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        sys.exit(run(sys.argv[1:]))
