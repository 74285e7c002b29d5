"""What one line of a crontab does: its requests, its writes to Vault, the programs that can't be seen into."""

import re
from dataclasses import dataclass, field
from typing import Final

from refresher.migrate.crontab import Entry
from refresher.migrate.marks import Marks, has_mark
from refresher.migrate.shell import Command, parse
from refresher.migrate.store import Put, is_vaults, put, put_by_call
from refresher.migrate.values import Context
from refresher.migrate.web import Call, call

_PLAIN: Final = re.compile(
    r"\[\[?|:|\.|true|false|test|cd|echo|printf|cat|head|tail|tr|cut|sed|awk|grep|sort|uniq|wc|tee|date|sleep|jq|yq|base64|"
    r"xargs|read|set|unset|umask|ulimit|return|exit|break|continue|source|printenv|openssl|touch|mkdir|mktemp|rm|mv|cp|"
    r"ln|chmod|chown|chgrp|find|ls|logger|mail|sendmail|vault|bao|curl|wget|kill|wait|trap"
)
_INTERPRETERS: Final = re.compile(r"python[0-9.]*|perl|ruby|node|php[0-9.]*|java|sh|bash|dash|ksh|zsh|Rscript")
_FILTER: Final = re.compile(r"\s*\.([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?:\s*//.*)?\s*")
_NOT_IN_REPLY: Final = ("data.data.", "auth.")  # members of Vault's own answers
_SCRIPT: Final = re.compile(r".*/.*|.*\.(?:py|sh|bash|pl|rb|js|mjs|cjs|ts|php|jar|R|r)")
# An interpreter and its option behind which stand a module or code, and then anything.
_NO_SCRIPT: Final = re.compile(
    r"\S*sh -[a-z]*c.*|python\S* -[A-Za-z]*[cm].*|(?:perl|ruby|node|Rscript) (?:-[A-Za-z]*[eEp]|--eval|--print).*|"
    r"php\S* -r.*|\S+ -",
    re.DOTALL,
)
_SHOWN: Final = re.compile(r"[A-Za-z0-9_.@+/-]{1,120}")


@dataclass(slots=True, kw_only=True)
class Line:
    """`member` is where jq finds the token in the reply; `sources` are files that the line takes settings from."""

    entry: Entry
    context: Context = field(repr=False)
    calls: list[Call] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    member: str = ""


def look(entry: Entry) -> Line:
    """Return what `entry` does; raise NotUnderstoodError where its command can not be read."""
    marks = Marks()
    commands = parse(entry.command, marks)
    settings = dict(entry.settings)
    for command in commands:
        settings |= {name: word for name, word in command.settings.items() if not _loops(name, word, marks)}
    line = Line(entry=entry, context=Context(marks, settings))
    of_vault = False
    for command in commands:
        of_vault = _see(line, command, of_vault=of_vault and command.piped)
    return line


def _see(line: Line, command: Command, *, of_vault: bool) -> bool:
    """Add what `command` does; return whether what it prints is Vault's. `of_vault`: what it reads is."""
    made = call(command, line.entry.stdin)
    written = put(command, line.context)
    if command.program in ("vault", "bao"):
        of_vault = True
    elif made is not None:
        of_vault = is_vaults(made, line.context)
        if of_vault:
            written = put_by_call(made, line.context)
        else:
            line.calls.append(made)
    if written is not None:
        line.puts.append(written)
    if command.program in (".", "source") and len(command.words) > 1 and _SHOWN.fullmatch(command.words[1]):
        line.sources.append(command.words[1])
    if command.program == "jq" and not of_vault and not line.member:
        member = next((match[1] for word in command.words[1:] if (match := _FILTER.fullmatch(word))), "")
        line.member = "" if member.startswith(_NOT_IN_REPLY) else member
    if command.words and not _PLAIN.fullmatch(command.program):
        line.programs.append(_program(command))
    return of_vault


def _program(command: Command) -> str:
    """Return the name of a program, or of the script that an interpreter runs; never its arguments."""
    script = _script(command) if _INTERPRETERS.fullmatch(command.program) else ""
    runs = script or command.words[0]
    if has_mark(runs):
        return "a program that a variable names"
    return runs if _SHOWN.fullmatch(runs) else "a program of an odd name"


def _script(command: Command) -> str:
    """Return the script that an interpreter runs, `""` where its words do not say for sure which of them it is."""
    for word in command.words[1:]:
        if _NO_SCRIPT.fullmatch(f"{command.program} {word}"):
            return ""
        if not word.startswith("-"):
            return word if _SCRIPT.fullmatch(word) else ""
    return ""


def _loops(name: str, word: str, marks: Marks) -> bool:
    """Whether a setting adds to itself (`PATH=$PATH:/opt`): what it was before counts then."""
    return name in Context(marks, {}).variables(word)
