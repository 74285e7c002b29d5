"""What one line of a crontab does: its requests, its writes to Vault, the programs that can't be seen into."""

import re
from dataclasses import dataclass, field
from typing import Final

from refresher.migrate.crontab import Entry
from refresher.migrate.marks import Marks, has_mark
from refresher.migrate.shell import Command, parse
from refresher.migrate.store import Put, put, put_by_call
from refresher.migrate.values import Context
from refresher.migrate.web import Call, call

_PLAIN: Final = re.compile(
    r"\[\[?|:|\.|true|false|test|cd|echo|printf|cat|head|tail|tr|cut|sed|awk|grep|sort|uniq|wc|tee|date|sleep|jq|yq|base64|"
    r"xargs|read|set|unset|umask|ulimit|return|exit|break|continue|source|printenv|openssl|touch|mkdir|mktemp|rm|mv|cp|"
    r"ln|chmod|chown|chgrp|find|ls|logger|mail|sendmail|vault|bao|curl|wget|kill|wait|trap"
)
_INTERPRETERS: Final = re.compile(r"python[0-9.]*|perl|ruby|node|php[0-9.]*|java|sh|bash|dash|ksh|zsh|Rscript")
_FILTER: Final = re.compile(r"\s*\.([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?:\s*//.*)?\s*")
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
    for command in commands:
        _see(line, command)
    return line


def _see(line: Line, command: Command) -> None:
    made = call(command, line.entry.stdin)
    written = put(command, line.context)
    if made is not None:
        written = put_by_call(made, line.context)
        if written is None:
            line.calls.append(made)
    if written is not None:
        line.puts.append(written)
    if command.program in (".", "source") and len(command.words) > 1 and _SHOWN.fullmatch(command.words[1]):
        line.sources.append(command.words[1])
    if command.program == "jq" and not line.member:
        line.member = next((match[1] for word in command.words[1:] if (match := _FILTER.fullmatch(word))), "")
    if command.words and not _PLAIN.fullmatch(command.program):
        line.programs.append(_program(command))


def _program(command: Command) -> str:
    """Return the name of a program, or of the script that an interpreter runs; never its arguments."""
    words = [word for word in command.words[1:] if not word.startswith("-") and ("/" in word or "." in word)]
    runs = words[0] if words and _INTERPRETERS.fullmatch(command.program) else command.words[0]
    if has_mark(runs):
        return "a program that a variable names"
    return runs if _SHOWN.fullmatch(runs) else "a program of an odd name"


def _loops(name: str, word: str, marks: Marks) -> bool:
    """Whether a setting adds to itself (`PATH=$PATH:/opt`): what it was before counts then."""
    return name in Context(marks, {}).variables(word)
