"""Programs that print a token: what they get, what counts of what they print, and that nothing of them stays."""

import asyncio
import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.core.errors import TransportError
from refresher.core.events import Event
from refresher.core.job import Program, Shape
from refresher.core.model import Reference
from refresher.core.secret import Secret
from refresher.host import program as module
from refresher.host.program import MAX_OUTPUT, Programs
from tests.core.builders import a_job
from tests.fakes.processes import living

TOKEN = '{"access_token": "AT-1", "expires_in": 60}'
SAY = f"echo '{TOKEN}'"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


class Stand:
    """Runs programs of one job and remembers what was told. `file` is one that they may write to."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "said"
        self.events: list[Event] = []
        self.programs = Programs(self)

    def tell(self, event: Event) -> None:
        self.events.append(event)

    async def run(self, *argv: str, secrets=None, deadline=20.0, **more):
        named = tuple((name, Reference(kind="env", target=name.upper())) for name in secrets or {})
        program = Program(argv=argv, secrets=named, deadline=timedelta(seconds=deadline), **more)
        job = a_job(token_url="", shape=Shape(program=program))
        read = {f"secrets.{name}": Secret(text) for name, text in (secrets or {}).items()}
        return await self.programs.run(job, read)

    async def shell(self, script: str, **more):
        return await self.run("/bin/sh", "-c", script, **more)

    async def fail(self, script: str, **more) -> TransportError:
        with pytest.raises(TransportError) as caught:
            await self.shell(script, **more)
        return caught.value

    async def written(self) -> str:
        """Wait until the program wrote to `file`."""
        while not (self.file.exists() and self.file.read_text().endswith("\n")):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)
        return self.file.read_text().strip()

    def lines(self, level: str) -> list[str]:
        return [one.fields["line"] for one in self.events if one.level == level]


@pytest.fixture
def stand(tmp_path):
    return Stand(tmp_path)


async def is_gone(group: int) -> bool:
    """Whether a process group has no living member soon."""
    for _ in range(1000):
        if not list(living(group)):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_what_it_prints_is_the_body_of_a_reply(stand):
    reply = await stand.shell(SAY)

    assert (reply.status, reply.truncated, json.loads(reply.body)) == (200, False, json.loads(TOKEN))
    assert stand.events == []


async def test_it_gets_its_secrets_as_json_and_then_the_end(stand):
    secrets = {"password": 'quote " backslash \\ é \n', "key": "x" * 300_000}

    reply = await stand.shell("cat; echo", secrets=secrets)

    assert json.loads(reply.body) == secrets


async def test_a_program_that_reads_nothing_is_fine(stand):
    reply = await stand.shell(f"exec 0<&-; sleep 0.1; {SAY}", secrets={"key": "x" * 300_000})

    assert json.loads(reply.body) == json.loads(TOKEN)


async def test_arguments_go_in_as_they_are_and_no_shell_reads_them(stand):
    odd = ["$(id)", "a b", "*", "'", '"', ";exit 1", "`id`", ""]

    reply = await stand.run(sys.executable, "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *odd)

    assert json.loads(reply.body) == odd


async def test_its_environment_is_what_the_job_names(stand, monkeypatch):
    monkeypatch.setenv("CANARY", "leaked")

    plain = await stand.run("/usr/bin/env", secrets={"password": "CANARY-2"})
    named = await stand.run("/usr/bin/env", environment=(("PATH", "/opt/bin"), ("TZ", "UTC")))

    assert plain.body.decode().split() == ["PATH=/usr/bin:/bin", "LANG=C.UTF-8"]
    assert named.body.decode().split() == ["PATH=/opt/bin", "LANG=C.UTF-8", "TZ=UTC"]


@pytest.mark.leak("L12")
async def test_secrets_are_in_no_argument_and_no_environment(stand, canaries):
    show = "cat /proc/$$/cmdline /proc/$$/environ; cat >/dev/null"

    reply = await stand.shell(show, secrets={"password": canaries.plant("password")})

    assert b"/bin/sh" in reply.body
    canaries.check(reply.body)


async def test_it_inherits_nothing_else(stand):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # noqa: FBT003  # os's own signature
    try:
        reply = await stand.shell("echo $(ls /proc/$$/fd) $(pwd) $(cut -d' ' -f6 /proc/$$/stat) $$")
    finally:
        os.close(reading)
        os.close(writing)

    *files, folder, session, pid = reply.body.decode().split()
    assert {"0", "1", "2"} <= set(files)
    assert str(writing) not in files
    assert (folder, session) == ("/", pid), "a session of its own"


@pytest.mark.parametrize(("script", "code"), [("exit 1", "exit_1"), ("exit 255", "exit_255")])
async def test_a_status_that_is_not_zero_is_a_failure_whatever_it_printed(stand, script, code):
    error = await stand.fail(f"{SAY}; {script}")

    number = code.removeprefix("exit_")
    assert (error.code, error.sent) == (code, True)
    assert error.why == f"the program ended with status {number}; the log has its last words as program_output"


async def test_a_signal_is_a_failure(stand):
    error = await stand.fail(f"{SAY}; kill -SEGV $$")

    assert (error.code, error.why) == ("signal_11", "the program was ended by signal 11")


async def not_started(stand, *argv):
    with pytest.raises(TransportError) as caught:
        await stand.run(*argv)
    assert (caught.value.code, caught.value.sent) == ("not_started", False)
    assert caught.value.__cause__ is None
    return caught.value.why


async def test_what_can_not_be_started_says_why(stand, tmp_path):
    text, script = tmp_path / "text", tmp_path / "script"
    text.write_text("no program")
    script.write_text("no program either")
    script.chmod(0o700)

    assert await not_started(stand, "/nowhere") == (
        "/nowhere: there is no such program, or no interpreter as its first line names it"
    )
    assert await not_started(stand, str(text)) == f"{text}: user {os.geteuid()} may not execute it"
    assert await not_started(stand, str(script)) == (
        f"{script}: it can't be started; if it is a script, its first line must name the interpreter (#!)"
    )


async def test_one_that_hangs_is_asked_to_end_when_its_time_is_over(stand, monkeypatch):
    monkeypatch.setattr(module, "MERCY", timedelta(seconds=30))  # longer than it takes: nobody had to kill it
    began = time.monotonic()

    error = await stand.fail(f"echo $$ > {stand.file}; sleep 60", deadline=3)

    assert (error.code, error.sent) == ("deadline", True)
    assert error.why == "the program took longer than 3 s and was ended"
    assert 3 <= time.monotonic() - began < 20
    assert await is_gone(int(await stand.written()))


async def test_one_that_ends_in_order_when_asked_may_say_so(stand):
    script = f"trap 'echo good bye >&2; exit 0' TERM; echo $$ > {stand.file}; while :; do sleep 0.05; done"

    error = await stand.fail(script, deadline=3)

    assert error.code == "deadline"
    assert stand.lines("warning")[-1] == "good bye"


async def test_one_that_ignores_sigterm_is_killed(stand, monkeypatch):
    monkeypatch.setattr(module, "MERCY", timedelta(seconds=0.5))
    began = time.monotonic()

    error = await stand.fail(f"echo $$ > {stand.file}; {DEAF}", deadline=3)

    assert error.code == "deadline"
    assert 3.5 <= time.monotonic() - began < 20
    assert await is_gone(int(await stand.written()))


@pytest.mark.parametrize("end", [SAY, "exit 3", "sleep 60"])
async def test_its_children_end_with_it(stand, end):
    fork = f"sleep 61 & ({DEAF}) & echo $$ > {stand.file}; {end}"
    began = time.monotonic()
    try:
        await stand.shell(fork, deadline=3 if end == "sleep 60" else 20)
    except TransportError:
        assert end != SAY

    assert time.monotonic() - began < 20
    assert await is_gone(int(await stand.written()))


async def test_a_child_that_leaves_and_keeps_the_pipes_open_is_not_waited_for(stand, monkeypatch):
    monkeypatch.setattr(module, "LAST_WORDS", timedelta(seconds=0.2))
    began = time.monotonic()

    reply = await stand.shell(
        f"setsid sh -c 'echo $$ > {stand.file}; exec sleep 30' & {SAY}; until test -s {stand.file}; do :; done"
    )

    os.kill(int(await stand.written()), 9)
    assert json.loads(reply.body) == json.loads(TOKEN)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("output", ["", ">&2"])
async def test_one_that_floods_is_ended_long_before_its_time(stand, output):
    began = time.monotonic()

    reply = await stand.shell(f"echo $$ > {stand.file}; yes 0123456789abcdef {output}")

    assert reply.truncated
    assert len(reply.body) <= MAX_OUTPUT
    assert time.monotonic() - began < 15
    assert await is_gone(int(await stand.written()))
    assert len(stand.lines("warning")) == (20 if output else 0)


async def test_a_flood_is_not_kept_while_it_is_being_ended(monkeypatch):
    monkeypatch.setattr(module, "MERCY", timedelta(seconds=0.3))

    ran = await module._run(Program(argv=("/bin/sh", "-c", "trap '' TERM; yes")), b"")

    assert len(ran.printed[1]) == MAX_OUTPUT + 1


async def test_what_comes_just_after_its_end_is_heard(stand, monkeypatch):
    monkeypatch.setattr(module, "LAST_WORDS", timedelta(seconds=20))

    reply = await stand.shell(
        f"setsid sh -c 'echo > {stand.file}; sleep 0.2; echo 42' & {SAY}; until test -s {stand.file}; do :; done"
    )

    assert reply.body.endswith(b"42\n")


@pytest.mark.parametrize(("size", "truncated"), [(MAX_OUTPUT, False), (MAX_OUTPUT + 1, True)])
async def test_what_it_prints_counts_up_to_the_limit(stand, size, truncated):
    reply = await stand.shell(f"head -c {size} /dev/zero")

    assert (reply.truncated, len(reply.body)) == (truncated, MAX_OUTPUT)


async def test_the_loop_goes_on_while_it_runs(stand):
    ticks, goes_on = 0, f"until test -e {stand.file}; do sleep 0.05; done"
    async with asyncio.TaskGroup() as group:
        run = group.create_task(stand.shell(f"for n in 1 2 3 4 5; do seq 1 9999 >&2; sleep 0.1; done; {goes_on}"))
        while not run.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            ticks += time.monotonic() - before < 0.25
            if ticks > 10:
                stand.file.touch()  # it waits for that, until its time is over

    assert ticks > 10


async def test_many_at_once(stand):
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(stand.shell(f"echo {number}")) for number in range(20)]

    assert [int(run.result().body) for run in runs] == list(range(20))


async def test_a_walk_that_is_torn_down_leaves_no_program(stand):
    async with asyncio.TaskGroup() as group:
        run = group.create_task(stand.shell(f"cat; ({DEAF}) & echo $$ > {stand.file}; {DEAF}"))
        pid = int(await stand.written())
        run.cancel()

    assert await is_gone(pid)


async def test_what_it_says_is_told_line_by_line(stand):
    await stand.shell(f"printf 'one\\n\\n  two\\r\\nthree' >&2; {SAY}")

    assert stand.lines("debug") == ["one", "", "  two", "three"]
    assert {(event.name, event.job) for event in stand.events} == {("program_output", "crm")}


async def test_a_failure_is_told_loud_by_its_last_lines(stand):
    await stand.fail("seq 1 100 >&2; exit 1")

    assert stand.lines("warning") == [str(number) for number in range(81, 101)]


async def test_long_lines_are_cut_and_longer_ones_left_out(stand):
    await stand.shell("for n in 4096 4097 16384 16385; do head -c $n /dev/zero | tr '\\0' x >&2; echo >&2; done")

    assert stand.lines("debug") == ["x" * 4096] * 3 + ["(a line too long to show)"]


async def test_what_is_no_text_is_told_all_the_same(stand):
    await stand.shell("printf '\\377\\376 \\033[31mred\\n' >&2")

    assert stand.lines("debug") == ["\ufffd\ufffd \x1b[31mred"]  # the log escapes what a terminal obeys


async def test_no_secret_and_no_token_is_told_however_it_is_said(stand, canaries):
    secret, token = canaries.plant("password", odd="+/= &%'\""), canaries.plant("token")
    echo = """
import base64, json, sys, urllib.parse
secret = json.load(sys.stdin)["password"]
token = sys.argv[1]
print(json.dumps({"access_token": token}))
for one in (secret, token):
    for dressed in (one, repr(one), json.dumps({"s": one}), urllib.parse.quote(one), urllib.parse.quote_plus(one),
                    base64.b64encode(f"acme:{one}".encode()).decode(), one[::-1], one.encode().hex()):
        print("+ curl -H", dressed, "https://id.example.com", file=sys.stderr)
sys.exit(int(sys.argv[2]))
"""
    for status in ("0", "1"):
        try:
            await stand.run(sys.executable, "-c", echo, token, status, secrets={"password": secret})
        except TransportError as error:
            canaries.check(f"{error}{error!r}")

    assert (len(stand.lines("debug")), len(stand.lines("warning"))) == (16, 16)
    canaries.check(repr(stand.events))
