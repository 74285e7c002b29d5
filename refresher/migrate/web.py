"""What curl and wget are told: the URL, the members of the form, the headers, who asks.

Rules of this module:
- Only the options that say what is sent are read; the others are skipped, with their values.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote_plus, urlsplit

from refresher.migrate.shell import Command

# curl(1) and wget(1): the options that take a value.
_CURL_SHORT: Final = "AbCcDdEeFHhKmoPQrTtUuwXxYyz"
_CURL_LONG: Final = re.compile(
    r"data(-raw|-binary|-ascii|-urlencode)?|json|user|header|request|url|url-query|output|cert|key|cacert|capath|proxy|"
    r"proxy-user|max-time|retry|retry-delay|retry-max-time|connect-timeout|config|form|form-string|user-agent|referer|"
    r"cookie|cookie-jar|write-out|netrc-file|oauth2-bearer|resolve|interface|upload-file|range|limit-rate|cert-type|"
    r"key-type|pass|ciphers|tls-max|dump-header|stderr|trace|trace-ascii|noproxy|max-redirs|connect-to|unix-socket|"
    r"aws-sigv4|speed-limit|speed-time"
)
_WGET_SHORT: Final = "OoaeiBtTwQPUAR"
_WGET_LONG: Final = re.compile(
    r"post-data|post-file|header|user|password|http-user|http-password|method|body-data|body-file|output-document|tries|"
    r"timeout|connect-timeout|certificate|private-key|ca-certificate|user-agent|output-file"
)
_CURL_NAMES: Final = {
    "d": "data", "H": "header", "u": "user", "X": "request", "o": "output", "E": "cert", "x": "proxy", "K": "config",
    "G": "get", "n": "netrc", "F": "form", "T": "upload-file",
}  # fmt: skip
_WGET_NAMES: Final = {"O": "output-document"}
_BODIES: Final = ("data", "data-raw", "data-binary", "data-ascii", "json", "post-data", "body-data")
_FIELDS: Final = {
    "": "url", "url": "url", "request": "method", "method": "method", "user": "user", "http-user": "user",
    "password": "password", "http-password": "password", "proxy": "proxy", "output": "output",
    "output-document": "output",
}  # fmt: skip
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

    url: str = field(default="", repr=False)
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
    hidden: list[str] = field(default_factory=list)


def call(command: Command, stdin: str) -> Call | None:
    """Return the request that `command` makes, None where it is neither curl nor wget.

    `stdin` is what cron gives the line on its standard input.
    """
    match command.program:
        case "curl":
            options = _options(command.words[1:], _CURL_SHORT, _CURL_LONG, _CURL_NAMES)
        case "wget":
            options = _options(command.words[1:], _WGET_SHORT, _WGET_LONG, _WGET_NAMES)
        case _:
            return None
    found = Call(output=command.writes or "")
    own = stdin if not command.piped and command.reads is None else ""
    for name, value in options:
        if name in _BODIES:
            _take_body(found, name, value, own)
        else:
            _take(found, name, value)
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
    elif name == "header":
        title, _, rest = value.partition(":")
        found.headers.append((title.strip().lower(), rest.strip()))
    elif name == "get":
        found.in_url = True
    elif name in ("data-urlencode", "url-query"):
        found.members.append(_encoded(value))
    elif name in _FILES:
        found.files[_FILES[name]] = value
    elif name in _HIDING:
        found.hidden.append(_HIDING[name])


def _options(
    words: tuple[str, ...], short: str, long: re.Pattern[str], names: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield each option by its long name with its value, and each other word with `""`."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > len("--"):
            name, equals, value = word[2:].partition("=")
            yield name, value if equals or not long.fullmatch(name) else (rest.pop(0) if rest else "")
        elif word.startswith("-") and len(word) > 1 and word != "--":
            for position, letter in enumerate(word[1:], start=1):
                if letter in short:
                    value = word[position + 1 :] or (rest.pop(0) if rest else "")
                    yield names.get(letter, letter + " "), value
                    break
                yield names.get(letter, letter + " "), ""
        elif word != "--":
            yield "", word


def _encoded(value: str) -> Member:
    """Return what `--data-urlencode` sends: `name=text`, or `name@file`."""
    name, equals, text = value.partition("=")
    if equals:
        return Member(name=name, word=text)
    name, _, path = value.partition("@")
    return Member(name=name, word=path, file=True)


def split(url: str) -> SplitResult:
    """Return the parts of a URL; of what is none, empty ones."""
    try:
        parts = urlsplit(url)
        parts.hostname  # noqa: B018  # may raise, too
    except ValueError:
        return urlsplit("")
    return parts


def form(text: str) -> Iterator[Member]:
    """Yield the members of a form or of a URL's query."""
    for part in text.strip().split("&"):
        name, _, value = part.partition("=")
        if name:
            yield Member(name=unquote_plus(name), word=unquote_plus(value))
