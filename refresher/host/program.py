"""Programs that print a token: what cron scripts become. And those that hooks call.

Rules of this module:
- No shell. Of our environment nothing; a fixed PATH and LANG, and what the job names. The working directory is /.
- Secrets go in as one JSON object on standard input, and nowhere else: arguments and environments are for all to see.
- A program has a session of its own. When it is over, or its time is, whoever is left of its process group ends.
- What it prints is bounded. What it says on standard error goes to the log, every secret that we know masked.
- The loop is never blocked: pipes are read as they fill, and one that somebody keeps open is not waited for.
"""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import timedelta
from typing import Final

from refresher.core.errors import TransportError
from refresher.core.events import Event, Level
from refresher.core.job import Job, Program
from refresher.core.mask import masked
from refresher.core.model import HttpResponse
from refresher.core.secret import Secret
from refresher.ports import Sink

MAX_OUTPUT: Final = 1024 * 1024  # bytes; a program that prints more, on either output, is ended
MERCY: Final = timedelta(seconds=2)  # between SIGTERM and SIGKILL
LAST_WORDS: Final = timedelta(seconds=1)  # for what is still in the pipes
LINES: Final = 20  # of standard error, the last ones: the reason stands at the end
LINE: Final = 4096  # characters
LONGEST_LINE: Final = 4 * LINE  # a longer one is left out: it is no message
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
PREFIX: Final = "secrets."
_STDIN, _STDOUT, _STDERR = range(3)
_WORD: Final = re.compile(r"""[^\s"'{}\[\],&=:\\]{8,}""")  # of an output: long enough for a token
_NAME: Final = re.compile(r"[a-z_]+")
_WORDS: Final = 100


class Programs:
    """ports.Programs on the processes of this machine; what programs say is told to `sink`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def run(self, job: Job, secrets: Mapping[str, Secret]) -> HttpResponse:
        """Run the program of `job` to its end and return what it printed as a reply of status 200.

        `secrets` are those of `job.references()`. Raises TransportError: `exit_N`, `signal_N`, `deadline`,
        `not_started`. Once started it is awaited for its deadline and MERCY at most.
        """
        program = job.shape.program
        if program is None:
            raise ValueError("this job has no program")
        given = {name.removeprefix(PREFIX): one for name, one in secrets.items() if name.startswith(PREFIX)}
        told = json.dumps({name: secret.reveal() for name, secret in given.items()}).encode() + b"\n"
        ran = await _run(program, told)
        failure = None if ran.flooded else ran.failure(program)
        level: Level = "warning" if ran.flooded or failure else "debug"
        self._tell(job.name, level, await asyncio.to_thread(_last_words, ran.printed, tuple(given.values())))
        if failure is not None:
            raise failure
        return HttpResponse(status=200, body=bytes(ran.printed[_STDOUT][:MAX_OUTPUT]), truncated=ran.flooded)

    async def call(self, program: Program, told: Mapping[str, object], given: Mapping[str, Secret], **of: str) -> None:
        """Run a hook's program to its end, with `told` on its standard input, and `given` beside it as `secrets`.

        `of`: the fields of what it says on standard error. Raises TransportError as `run` does, and `flooded`.
        """
        secrets = {"secrets": {name: secret.reveal() for name, secret in given.items()}} if given else {}
        ran = await _run(program, json.dumps({**told, **secrets}).encode() + b"\n")
        failure = ran.failure(program)
        if ran.flooded:
            failure = TransportError("flooded", f"the program printed more than {MAX_OUTPUT} bytes", sent=True)
        lines = await asyncio.to_thread(_last_words, ran.printed, tuple(given.values()))
        self._tell(of.pop("job", ""), "warning" if failure else "debug", lines, **of)
        if failure is not None:
            raise failure

    async def find(self, program: Program) -> None:
        """Raise TransportError `not_started` where `program` is not there or may not be executed; it is not run."""
        environ = ENVIRONMENT | dict(program.environment)
        if shutil.which(program.argv[0], path=environ["PATH"]) is None:
            why = f"{program.argv[0]}: there is no such program that user {os.geteuid()} may execute"
            raise TransportError("not_started", why, sent=False)

    def _tell(self, job: str, level: Level, lines: list[str], **of: str) -> None:
        for line in lines:
            self._sink.tell(Event(name="program_output", level=level, job=job, fields={"line": line, **of}))


class _Process(asyncio.SubprocessProtocol):
    """A running program and what it printed so far."""

    def __init__(self) -> None:
        self.printed = {_STDOUT: bytearray(), _STDERR: bytearray()}
        self.flooded = False
        self.late = False
        self.code: int | None = None
        self.over = asyncio.Event()  # it ended, or printed too much
        self.ended = asyncio.Event()
        self.silent = asyncio.Event()  # both outputs are closed
        self._open = set(self.printed)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self.printed[fd]
        kept += data[: MAX_OUTPUT + 1 - len(kept)]
        if len(kept) > MAX_OUTPUT:
            self.flooded = True
            self.over.set()

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.silent.set()

    def process_exited(self) -> None:
        self.over.set()
        self.ended.set()

    def failure(self, program: Program) -> TransportError | None:
        """Return why what it printed does not count, or None."""
        if self.late:
            span = program.deadline.total_seconds()
            return TransportError("deadline", f"the program took longer than {span:g} s and was ended", sent=True)
        if self.code == 0:
            return None
        if self.code is None or self.code < 0:
            number = -(self.code or -signal.SIGKILL)
            return TransportError(f"signal_{number}", f"the program was ended by signal {number}", sent=True)
        why = f"the program ended with status {self.code}; the log has its last words as program_output"
        return TransportError(f"exit_{self.code}", why, sent=True)


async def _run(program: Program, told: bytes) -> _Process:
    """Start `program`, see it through, and leave nothing of it behind."""
    transport, process = await _start(program)
    group = transport.get_pid()  # a session of its own makes it the leader of its group
    with closing(transport):
        try:
            _feed(transport, told)
            process.late = not await _within(program.deadline, process.over)
            if not process.ended.is_set():
                _signal(group, signal.SIGTERM)
                await _within(MERCY, process.ended)
        finally:
            _signal(group, signal.SIGKILL)
            await _within(MERCY, process.ended)
            await _within(LAST_WORDS, process.silent)
        process.code = transport.get_returncode()
    return process


def _feed(transport: asyncio.SubprocessTransport, told: bytes) -> None:
    stdin = transport.get_pipe_transport(_STDIN)
    if isinstance(stdin, asyncio.WriteTransport):
        stdin.write(told)
        stdin.write_eof()


async def _start(program: Program) -> tuple[asyncio.SubprocessTransport, _Process]:
    env, loop = ENVIRONMENT | dict(program.environment), asyncio.get_running_loop()
    try:
        return await loop.subprocess_exec(_Process, *program.argv, env=env, cwd="/", start_new_session=True)
    except FileNotFoundError:
        why = "there is no such program, or no interpreter as its first line names it"
    except PermissionError:
        why = f"user {os.geteuid()} may not execute it"
    except OSError:
        why = "it can't be started; if it is a script, its first line must name the interpreter (#!)"
    raise TransportError("not_started", f"{program.argv[0]}: {why}", sent=False) from None


async def _within(span: timedelta, event: asyncio.Event) -> bool:
    """Wait for `event`, and say whether it came in time."""
    try:
        async with asyncio.timeout(span.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _signal(group: int, number: signal.Signals) -> None:
    """Signal whoever is left of the group; its number is not given to another one while it has a member."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _last_words(printed: Mapping[int, bytearray], given: tuple[Secret, ...]) -> list[str]:
    """Return the last lines of standard error, without any secret that was given or printed. Takes up to a second."""
    said, output = (printed[fd].decode(errors="replace") for fd in (_STDERR, _STDOUT))
    lines = [line if len(line) <= LONGEST_LINE else "(a line too long to show)" for line in said.splitlines()[-LINES:]]
    return [line[:LINE] for line in masked("\n".join(lines), (*given, *_tokens(output))).splitlines()]


def _tokens(printed: str) -> tuple[Secret, ...]:
    """Return what may be tokens in what a program printed: it may have said them on standard error as well."""
    words = {word for word in _WORD.findall(printed) if not _NAME.fullmatch(word)}
    return tuple(Secret(word) for word in sorted(words, key=len, reverse=True)[:_WORDS])
