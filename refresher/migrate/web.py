"""What curl and wget are told: the URL, the members of the form, the headers, who asks.

Rules of this module:
- Only the options that say what is sent are read; the others are skipped, with their values (options.py).
- More than one word that may be the URL is none: a client's secret must not go to another host than before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote_plus, urlsplit

from refresher.migrate.options import options
from refresher.migrate.shell import Command

_BODIES: Final = ("data", "data-raw", "data-binary", "data-ascii", "json", "post-data", "body-data")
_FIELDS: Final = {
    "request": "method", "method": "method", "user": "user", "http-user": "user",
    "password": "password", "http-password": "password", "proxy": "proxy", "output": "output",
    "output-document": "output",
}  # fmt: skip
_SENDING: Final = (*_BODIES, "data-urlencode", "form", "form-string", "upload-file", "post-file", "body-file")
_LITERAL: Final = ("data-raw", "post-data", "body-data")  # an `@` at their head means no file
_HIDING: Final = {
    "config": "curl reads options from a file (-K)",
    "netrc": "curl takes the login from ~/.netrc",
    "netrc-file": "curl takes the login from a netrc file",
    "form": "the form is sent as multipart (-F)",
    "form-string": "the form is sent as multipart",
    "upload-file": "the request is read from a file (-T)",
    "post-file": "the request is read from a file",
    "body-file": "the request is read from a file",
}
_WRITING: Final = ("POST", "PUT", "PATCH")
_FILES: Final = {"cert": "cert_file", "certificate": "cert_file", "key": "key_file", "private-key": "key_file",
    "cacert": "ca_file", "ca-certificate": "ca_file"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a form. `file`: its value is what the file `word` holds."""

    name: str
    word: str = field(repr=False)
    file: bool = False


@dataclass(slots=True, kw_only=True)
class Call:
    """One HTTP request. `hidden` says in words what of it can not be seen; `files` are keys of a job."""

    urls: list[str] = field(default_factory=list, repr=False)
    method: str = ""
    bodies: list[str] = field(default_factory=list, repr=False)
    members: list[Member] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    user: str = field(default="", repr=False)  # curl: `name:password`
    password: str = field(default="", repr=False)  # wget's
    proxy: str = field(default="", repr=False)
    files: dict[str, str] = field(default_factory=dict)
    output: str = ""
    in_url: bool = False
    has_body: bool = False
    hidden: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the first word that may be the URL, `""` where there is none."""
        return self.urls[0] if self.urls else ""

    @property
    def writes(self) -> bool:
        """Whether the request changes something where it goes, as a POST does and a GET does not."""
        return self.method.upper() in _WRITING if self.method else self.has_body and not self.in_url


def call(command: Command, stdin: str) -> Call | None:
    """Return the request that `command` makes, None where it is neither curl nor wget.

    `stdin` is what cron gives the line on its standard input.
    """
    if command.program not in ("curl", "wget"):
        return None
    found = Call(output=command.writes or "")
    own = stdin if not command.piped and command.reads is None else ""
    for name, value in options(command):
        if name in _BODIES:
            _take_body(found, name, value, own)
        else:
            _take(found, name, value)
        found.has_body = found.has_body or name in _SENDING
    if len(found.urls) > 1:
        found.hidden.append("which word of it is the URL could not be told")
    return found


def _take_body(found: Call, name: str, value: str, stdin: str) -> None:
    if name == "json":
        found.headers.append(("content-type", "application/json"))
    if name in _LITERAL or not value.startswith("@"):
        found.bodies.append(value)
    elif value == "@-" and stdin:
        found.bodies.append(stdin.rstrip("\n"))
    else:
        found.hidden.append("the request is read from a file or from another program")


def _take(found: Call, name: str, value: str) -> None:
    field_name = _FIELDS.get(name)
    if field_name is not None:
        if not getattr(found, field_name):
            setattr(found, field_name, value)
    elif name in ("", "url"):
        found.urls.append(value)
    elif name == "header":
        title, colon, rest = value.partition(":")
        found.headers.append((title.strip().lower() if colon else "", rest.strip()))  # without one it is no name
    elif name == "get":
        found.in_url = True
    elif name in ("data-urlencode", "url-query"):
        found.members.append(_encoded(value))
    elif name in _FILES:
        found.files[_FILES[name]] = value
    elif name in _HIDING:
        found.hidden.append(_HIDING[name])


def _encoded(value: str) -> Member:
    """Return what `--data-urlencode` sends: `name=text`, `name@file`, or a text without a name."""
    name, equals, text = value.partition("=")
    if equals:
        return Member(name=name, word=text)
    name, at, path = value.partition("@")
    return Member(name=name, word=path, file=True) if at else Member(name="", word=value)


def split(url: str) -> SplitResult:
    """Return the parts of a URL; of what is none, empty ones."""
    try:
        parts = urlsplit(url)
        parts.hostname  # noqa: B018  # may raise, too
    except ValueError:
        return urlsplit("")
    return parts


def form(text: str) -> Iterator[Member]:
    """Yield the members of a form or of a URL's query; a part without `=` is no name, and may be a secret."""
    for part in text.strip().split("&"):
        name, equals, value = part.partition("=")
        if equals:
            yield Member(name=unquote_plus(name), word=unquote_plus(value))
        elif part:
            yield Member(name="", word=unquote_plus(part))
