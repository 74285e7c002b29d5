"""Where a word of a command gets its value from: the text itself, a variable, a file, a Vault secret, or no telling.

Rules of this module:
- Nothing is expanded that would have to be run or opened.
- A text that stands in the crontab may be a secret: it goes on as one, and who shows it has to ask for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from refresher.core.secret import Secret
from refresher.migrate.marks import Marks, NotUnderstoodError, Variable, has_mark
from refresher.migrate.shell import Command, parse
from refresher.migrate.web import call

_FILE: Final = re.compile(r"/[^/\0]+(?:/[^/\0]+)*")
_ADDRESSES: Final = ("VAULT_ADDR", "BAO_ADDR")
_MEMBER: Final = re.compile(r"""\.data(\.data)?(?:\.(\w+)|\.?"([^"]+)"|\["([^"]+)"\])""")
_DEEPEST: Final = 8  # variables that stand for variables


@dataclass(frozen=True, slots=True)
class Text:
    """It stands in the crontab."""

    text: Secret


@dataclass(frozen=True, slots=True)
class Environment:
    """A variable that the crontab does not set."""

    name: str


@dataclass(frozen=True, slots=True)
class File:
    """What a file holds."""

    path: str


@dataclass(frozen=True, slots=True)
class VaultField:
    """A member of a Vault secret; `path` as the vault command takes it, its mount first."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Untold:
    """No telling."""


Value: TypeAlias = Text | Environment | File | VaultField | Untold


@dataclass(frozen=True, slots=True)
class Context:
    """What the words of one line stand among. `settings` are variables that the crontab or the line sets."""

    marks: Marks
    settings: Mapping[str, str] = field(repr=False)

    def value(self, word: str, depth: int = 0) -> Value:
        """Return where the value of `word` comes from."""
        if not has_mark(word):
            return Text(Secret(word))
        if len(word) > 1 or depth > _DEEPEST:
            whole = self.text(word)
            return Untold() if whole is None else Text(Secret(whole))
        what = self.marks.found[word]
        if isinstance(what, Variable):
            if what.name not in self.settings:
                return Environment(what.name)
            return self.value(self.settings[what.name], depth + 1)
        return _of_output(what.text)

    def text(self, word: str, depth: int = 0) -> str | None:
        """Return `word` with its variables filled in, None where one of them is not set in the crontab."""
        out = []
        for character in word:
            what = self.marks.found.get(character)
            if what is None:
                out.append(character)
                continue
            inner = self.settings.get(what.name) if isinstance(what, Variable) and depth < _DEEPEST else None
            filled = None if inner is None else self.text(inner, depth + 1)
            if filled is None:
                return None
            out.append(filled)
        return "".join(out)

    def variables(self, word: str) -> set[str]:
        """Return the names of the variables that stand in `word`."""
        found = (self.marks.found.get(character) for character in word)
        return {what.name for what in found if isinstance(what, Variable)}


def file(path: str) -> Value:
    """Return the file where its path can be written down as a reference."""
    plain = _FILE.fullmatch(path) is not None and path.isprintable() and not has_mark(path)
    return File(path) if plain and not {".", ".."} & set(path.split("/")) else Untold()


def _of_output(text: str) -> Value:
    """Return what `$(...)` gives where it only reads a file, a variable or a Vault secret."""
    marks = Marks()
    try:
        commands = [] if has_mark(text) else parse(text, marks)
    except NotUnderstoodError:
        commands = []
    match commands:
        case [Command(words=("cat", path), reads=None) | Command(words=() | ("cat",), reads=str(path))]:
            return file(path)
        case [Command(words=("printenv", name))] if name.isidentifier():
            return Environment(name)
        case [Command(words=("vault" | "bao", *rest))]:
            return _of_vault(rest)
        case [asked, Command(program="jq", piped=True, words=(_, *rest))]:
            return _of_api(asked, rest, marks)
        case _:
            return Untold()


def _of_vault(words: list[str]) -> Value:
    """Return the secret that `vault kv get -field=NAME PATH` reads, or `vault read` of the same."""
    if not (words[:2] == ["kv", "get"] or words[:1] == ["read"]):
        return Untold()
    mount, name, paths = "", "", []
    for word in words[2:] if words[0] == "kv" else words[1:]:
        option, _, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            paths.append(word)
        elif option == "field":
            name = value
        elif option == "mount":
            mount = value.strip("/") + "/"
    if len(paths) != 1 or not name or any(has_mark(part) for part in (name, mount, *paths)):
        return Untold()
    path = mount + paths[0].strip("/")
    return VaultField(re.sub("^([^/]+)/data/", r"\1/", path) if words[0] == "read" else path, name)


def _of_api(asked: Command, filters: list[str], marks: Marks) -> Value:
    """Return the secret that curl reads from the API of the Vault in $VAULT_ADDR, of which jq takes one member."""
    made = call(asked, "")
    members = [_MEMBER.fullmatch(word) for word in filters if not word.startswith("-")]
    if made is None or made.writes or made.hidden or made.method not in ("", "GET") or len(members) != 1:
        return Untold()
    server, url = marks.found.get(made.url[:1]), made.url[1:]
    known = isinstance(server, Variable) and server.name in _ADDRESSES
    elsewhere = any(name == "x-vault-namespace" for name, _ in made.headers)
    member = members[0]
    if not known or elsewhere or member is None or has_mark(url) or not url.startswith("/v1/"):
        return Untold()
    mount, data, path = url.removeprefix("/v1/").partition("/data/")
    if bool(data) != bool(member[1]):
        return Untold()
    return VaultField(f"{mount}/{path}" if data else mount, member[2] or member[3] or member[4])
