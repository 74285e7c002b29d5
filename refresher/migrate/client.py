"""Who asks, and how it proves that: the keys of a job for the client, its secrets as references.

Rules of this module:
- What must not be seen leaves as a reference; a name (`client_id`, `username`) leaves as it is.
- curl sends name and password in a header as they are: that is `basic_raw`, which is `basic` where no character is odd.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from refresher.migrate.marks import Marks, NotUnderstoodError, Output, Variable, has_mark
from refresher.migrate.shell import parse
from refresher.migrate.values import Context, Environment, File, Text, Untold, VaultField
from refresher.migrate.values import file as file_value
from refresher.migrate.web import Call, Member

MISSING: Final = "REPLACE-ME"
_BASIC: Final = re.compile(r"basic\s+(\S.*)", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~-]*")  # the same, form-encoded or not (RFC 6749, appendix B)
_FIELD: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)+")
_SAFE: Final = re.compile(r"[A-Za-z0-9_./@-]+")


@dataclass(slots=True)
class Keys:
    """The keys of a job in the order in which they are written, and what a person has to know of them."""

    job: str
    context: Context = field(repr=False)
    table: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def secret(self, key: str, word: str, *, of_file: bool = False) -> None:
        """Set `key` to a reference to the secret that `word` is."""
        value = file_value(self.context.text(word) or "") if of_file else self.context.value(word)
        place = f"vault:secret/clients/{self.job}#{key}"
        match value:
            case Environment(name):
                place = f"env:{name}"
                self.notes.append(f"{key}: ${name} is not set in the crontab; set it for refresher's service too")
            case File(path) if _SAFE.fullmatch(path):
                place = f"file:{path}"
                self.notes.append(f"{key}: the file must be refresher's own, mode 0600; or load it as a credential")
            case VaultField(path, name) if _PATH.fullmatch(path) and _FIELD.fullmatch(name):
                place = f"vault:{path}#{name}"
            case Text():
                self.notes.append(
                    f"{key}: it stands in the crontab in the clear; have it changed, and put the new one there"
                )
            case File() | VaultField() | Untold():
                self.notes.append(f"{key}: where the line takes it from could not be told; put it there")
        self.table[key] = place

    def public(self, key: str, word: str) -> None:
        """Set `key` to the text of `word`, which is no secret."""
        text = self.context.text(word)
        if text and text.isprintable():
            self.table[key] = text
            return
        self.table[key] = MISSING
        self.notes.append(f"{key}: the crontab does not say it; put it in")


def client(keys: Keys, call: Call, members: dict[str, Member]) -> str:
    """Set the client's keys and return its `client_auth`; `members` loses what is used."""
    login = _login(keys, call)
    if login is not None:
        name, password = login
        for member in ("client_id", "client_secret"):  # sent twice: in the header and in the form
            members.pop(member, None)
        if not password:
            keys.table["client_id"] = MISSING
            keys.notes.append("client_id: the line sends a name without a password, which may be the secret itself")
            keys.table["client_secret"] = f"vault:secret/clients/{keys.job}#client_secret"
            return "basic_raw"
        keys.public("client_id", name)
        keys.secret("client_secret", password)
        texts = (keys.context.text(name), keys.context.text(password))
        return "basic" if all(text is not None and _PLAIN.fullmatch(text) for text in texts) else "basic_raw"
    _id = members.pop("client_id", None)
    if _id is not None and not _id.file:
        keys.public("client_id", _id.word)
    else:
        keys.table["client_id"] = MISSING
        keys.notes.append("client_id: the line shows none")
    if secret := members.pop("client_secret", None):
        keys.secret("client_secret", secret.word, of_file=secret.file)
        return "post"
    if assertion := members.pop("client_assertion", None):
        members.pop("client_assertion_type", None)
        keys.secret("client_assertion", assertion.word, of_file=assertion.file)
        keys.notes.append("client_assertion: refresher can sign it by itself, with client_key")
        return "private_key_jwt"
    return "tls" if "cert_file" in call.files else "none"


def _login(keys: Keys, call: Call) -> tuple[str, str] | None:
    """Return the words of name and password of the request's header, None where it sends none."""
    for title, word in call.headers:
        if title == "authorization":
            return _decoded(keys, word)
    if call.user and call.password:
        return call.user, call.password
    return _pair(keys, call.user) if call.user else None


def _decoded(keys: Keys, header: str) -> tuple[str, str]:
    match = _BASIC.fullmatch(header)
    if match is None:
        keys.notes.append("the line proves its client by a header that is not Basic: see client_auth")
        return "", ""
    word = match[1]
    what = keys.context.marks.found.get(word)
    if isinstance(what, Output):
        return _echoed(keys, what.text)
    if (text := keys.context.text(word)) is None:
        return _together(keys)
    try:
        return _pair(keys, base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return _together(keys)


def _echoed(keys: Keys, text: str) -> tuple[str, str]:
    """Return what `echo -n ID:SECRET | base64` encodes."""
    marks = Marks()
    try:
        commands = [] if has_mark(text) else parse(text, marks)
    except NotUnderstoodError:
        commands = []
    if [command.program for command in commands] not in (["echo", "base64"], ["printf", "base64"]):
        return _together(keys)
    word = commands[0].words[-1]
    for character in set(word) & marks.found.keys():  # these marks count in this text alone
        word = word.replace(character, keys.context.marks.add(marks.found[character]))
    return _pair(keys, word)


def _pair(keys: Keys, word: str) -> tuple[str, str]:
    for _ in keys.context.settings:  # a variable may stand for another, never more than there are
        what = keys.context.marks.found.get(word)
        if isinstance(what, Variable):
            word = keys.context.settings.get(what.name, word)
    name, colon, password = word.partition(":")
    return (name, password) if colon or not has_mark(word) else _together(keys)


def _together(keys: Keys) -> tuple[str, str]:
    """Return words for a name and a password that stand together where they can't be seen."""
    keys.notes.append("the line takes client id and secret together from elsewhere: refresher wants them apart")
    unseen = keys.context.marks.add(Output(""))
    return unseen, unseen
