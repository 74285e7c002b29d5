"""docs/reference/command-line.md, made of the command line: `python -m tests.packages.reference` writes it."""

from collections.abc import Iterator
from pathlib import Path

from packages.surface import Verb, Word, verbs
from refresher.cli import CONFIG, EXITS, PURPOSE

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
HEAD = f"""\
# The command line

`refresher` {PURPOSE}

This page is made of the program (`python -m tests.packages.reference`); a test holds it to that. `refresher VERB
--help` says the same, and so do the man pages of the packages.

- {CONFIG[0].upper()}{CONFIG[1:]}.
- `--json` prints one JSON object per line on standard output and nothing else there ([shapes](json.md)); what a person
  is told beside goes to standard error.
- `status`, `plan` and `once` ask the running daemon where there is one; else they look, and act, themselves. `rotate`,
  `pause`, `resume`, `put` and `release` work through it alone ([Break glass](../how-to/break-glass.md)).

## Exit codes

| code | meaning |
| --- | --- |
"""
# What a verb's own codes mean, where that is more than the table above says.
CODES = {
    "run": "0 after SIGTERM; 78 a mistake in jobs.toml; 69 Vault refuses the login for good.",
    "once": "0 all fresh; 1 some job failed; 75 nothing could be done, since Vault or the network is away.",
    "check": "0; 78 a mistake; 1 a live check failed.",
    "plan": "0.",
    "watch": "0 ok; 1 warning; 2 critical; 3 unknown ([what that is](../how-to/readers/watch.md)).",
    "status": "0 all fresh; 1 otherwise.",
    "history": "0.",
    "rotate": "0 every job was rotated; 1 otherwise: one failed or was declined, no daemon runs, or we may not ask it.",
    "pause": "0; 1 no daemon runs, or we may not ask it.",
    "resume": "0; 1 no daemon runs, or we may not ask it.",
    "put": "0 the token stands at every path; 1 otherwise.",
    "release": "0 the mark is gone; 1 otherwise.",
}


def page() -> str:
    exits = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXITS.items())
    return HEAD + exits + "".join("\n" + "\n".join(_section(verb)) + "\n" for verb in verbs())


def _section(verb: Verb) -> Iterator[str]:
    arguments = "".join(f" {word.metavar}" for word in verb.arguments)
    yield from (f"## `refresher {verb.name}{arguments}`", "", verb.about)
    if verb.name in CODES:
        yield from ("", f"Exit code: {CODES[verb.name]}")
    yield from ("", "| option | what |", "| --- | --- |")
    yield from (f"| {_names(word)} | {_cell(word.about)} |" for word in (*verb.arguments, *verb.options))


def _names(word: Word) -> str:
    names = word.names or ("",)
    return ", ".join(f"`{_cell(f'{name} {word.metavar}'.strip())}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
