"""Calls one verb: its options by typer, its errors as one line and an exit code.

Rules of this module:
- An unexpected exception is told by its type alone: its text, and the values in its frames, may be secrets.
- With $REFRESHER_DEBUG set, the places in the source are told too, never values.
"""

import difflib
import errno
import os
import traceback
from importlib import import_module
from typing import Final, cast

import typer
from typer.core import TyperCommand
from typer.main import get_command

from refresher.cli import VERBS
from refresher.core.errors import ConfigError, RefresherError

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def call(verb: str, arguments: list[str]) -> int:
    """Run `verb` and return its exit code."""
    try:
        return _run(verb, arguments)
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as problem:
        _say(verb, f"{_plain(problem.format_message())} (refresher {verb} --help tells the options)")
        return os.EX_USAGE
    except ConfigError as problem:
        typer.echo(problem, err=True)
        return os.EX_CONFIG
    except RefresherError as problem:
        _say(verb, _plain(str(problem)))
        return 1
    except BrokenPipeError:
        raise
    except Exception as problem:  # the last resort: no traceback with values reaches a terminal or a log
        if isinstance(problem, OSError) and problem.errno in FULL:
            raise  # no defect of ours, wherever that was: main tells it
        _say(verb, f"unexpected {type(problem).__name__}, a defect; with REFRESHER_DEBUG=1 it says where")
        if os.environ.get("REFRESHER_DEBUG"):
            typer.echo("".join(traceback.format_tb(problem.__traceback__)), nl=False, err=True)
        return os.EX_SOFTWARE


def command_of(verb: str) -> TyperCommand:
    """Return the command of `verb`: what it takes, and what it does."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(help=VERBS[verb])(getattr(import_module(f"refresher.cli.{verb}"), verb))
    return cast("TyperCommand", get_command(app))  # one function makes no group


def _run(verb: str, arguments: list[str]) -> int:
    command = command_of(verb)
    with command.make_context(f"refresher {verb}", arguments) as context:  # main() would end the process by itself
        outcome = command.invoke(context)
    return outcome if isinstance(outcome, int) else 0


def unknown(word: str) -> str:
    """Return the line about a verb that does not exist."""
    if word.startswith("-"):
        return "refresher: a verb comes first, and its options after it (refresher --help lists the verbs)\n"
    near = difflib.get_close_matches(word[:64], VERBS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"refresher: there is no verb {_plain(word[:64])!r}{hint} (refresher --help lists them)\n"


def _say(verb: str, line: str) -> None:
    typer.echo(f"refresher {verb}: {line}", err=True)


def _plain(text: str) -> str:
    """Return `text` on one line without control characters: arguments come from anywhere."""
    return "".join(character if character.isprintable() else " " for character in text)
