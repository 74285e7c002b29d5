"""The command line: turns words into calls and errors into exit codes.

Rules of this module:
- It imports nothing but `sys` before it knows the verb: `--version` and `--help` cost what a bare interpreter costs.
- A verb is one module of this folder with one function of its name; only the called one is imported.
"""

import sys

from refresher import __version__

VERBS = {
    "run": "The daemon: keep every job's token fresh until SIGTERM.",
    "once": "One pass over what is due, then stop: cron's successor.",
    "check": "Find every mistake of jobs.toml at once; needs no secret.",
    "plan": "When each job comes due and why, the load, outages survived; or what a new file changes.",
    "watch": "From a reader's host, with a reader's rights: the life left at each path, for Nagios.",
    "status": "Each job's state, expiry, next rotation and last outcome.",
    "rotate": "Rotate jobs now, through the running daemon.",
    "pause": "Have the running daemon leave a job alone until a given time.",
    "resume": "Have it go on with a job that was paused, or handed back.",
    "put": "Write a token by hand, from standard input, through the running daemon.",
    "release": "Hand a job's paths back: their mark goes, the daemon leaves them alone.",
    "authorize": "First consent, or an existing refresh token: stored and proven at once.",
    "policy": "The least Vault policies: one for refresher, one for each job's readers.",
    "bootstrap": "An administrator's set-up of Vault in one go, and the credential to install.",
    "history": "Every attempt that the ledger has: when, how it ended, why.",
    "providers": "The catalogue of providers, and a job to paste for each.",
    "init": "Write a commented jobs.toml to start from.",
    "schema": "Print the JSON schema of jobs.toml, for editors.",
    "migrate": "Draft a jobs.toml from a crontab of token scripts; runs nothing, shows no secret.",
    "cluster": "What several machines share in PostgreSQL: install, upgrade, verify, nodes.",
    "systemd": "Print a unit, for an installation that no package made.",
    "demo": "Watch it work: a real OpenBao and a practice provider on this machine.",
}
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
BROKEN_PIPE = 141  # 128 + SIGPIPE
PURPOSE = "keeps a live OAuth token of each third-party API at its path in HashiCorp Vault or OpenBao."
CONFIG = "--config FILE, with every verb that reads it; else $REFRESHER_CONFIG, ./jobs.toml, /etc/refresher/jobs.toml"
EXITS = {
    0: "all is well",
    1: "something is not",
    64: "wrong usage",
    78: "a mistake in jobs.toml",
    69: "Vault refuses for good",
    75: "Vault or the network is away",
}
USAGE = 64  # EX_USAGE of sysexits.h; `os` is not imported for it


def main(arguments: list[str] | None = None) -> int:
    """Do what `arguments` (else the process's own) say, and return the exit code."""
    try:
        _open_what_is_closed()
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a bar is worth no crash where the locale is ASCII
        code = _dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except OSError as problem:
        sys.stderr.write(f"refresher: can't write: {problem.strerror}\n")
        _forget_output()
        return 1
    return code


def _open_what_is_closed() -> None:
    """Put /dev/null in the place of a standard stream that is closed (`refresher status >&-`): it is None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open("/dev/null", mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # as `os`: not imported


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case ["--version" | "-V"]:
            sys.stdout.write(f"refresher {__version__}\n")
            return 0
        case ["--help" | "-h" | "help"]:
            sys.stdout.write(overview(bold=sys.stdout.isatty()))
            return 0
        case [verb, *rest] if verb in VERBS:
            from refresher.cli._call import call  # noqa: PLC0415  # typer, for verbs alone

            return call(verb, rest)
        case [word, *_]:
            from refresher.cli._call import unknown  # noqa: PLC0415  # difflib, for slips alone

            sys.stderr.write(unknown(word))
        case _:
            sys.stderr.write(overview(bold=sys.stderr.isatty()))
    return USAGE


def overview(*, bold: bool) -> str:
    """Return what `refresher --help` prints."""
    strong, plain = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    verbs = "\n".join(f"  {strong}{verb:<10}{plain} {about}" for verb, about in VERBS.items())
    exits = [f"{code} {meaning}" for code, meaning in EXITS.items()]
    return f"""\
{strong}refresher{plain} {PURPOSE}

{strong}Usage:{plain} refresher VERB [OPTIONS]       refresher VERB --help tells a verb's options

{verbs}

  {CONFIG}
  --version, --help

{strong}Exit codes:{plain} {", ".join(exits[:4])},
  {", ".join(exits[4:])}
"""


def _reader_left() -> int:
    """Leave quietly where the reader of a pipe (`refresher plan | head`) went away: nobody reads the rest."""
    _forget_output()
    return BROKEN_PIPE


def _forget_output() -> None:
    """Have nothing written of what is left: the interpreter would try again as it ends."""
    import os  # noqa: PLC0415  # at the end of a broken pipe, or of a disk, alone

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
