"""The words of jobs.toml: each function takes what TOML gave and returns a value, or raises BadValueError.

Rules of this module:
- An error's text says what to write instead and never repeats the value: it may be a secret in the wrong place.
- Patterns are matched whole (`fullmatch`): a newline at the end is not the end.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from refresher.core.job import Margin


class BadValueError(ValueError):
    """A value that its key does not take; the text goes on `KEY ...`. pydantic reports a ValueError, and no other."""


LONGEST: Final = 512  # characters of a name or path, well below what Vault takes
LONGEST_SOCKET: Final = 107  # bytes: what sun_path takes (unix(7))
LAST_PORT: Final = 65_535
LONGEST_SPAN: Final = timedelta(days=36_500)  # a century: more is a slip of the finger
SEGMENT: Final = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"
_SEGMENT: Final = re.compile(SEGMENT)
_PATH: Final = re.compile(rf"{SEGMENT}(?:/{SEGMENT})*")
_SPAN: Final = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,9})s)?")
_SHARE: Final = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)%")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_ALLOWED_HOST: Final = re.compile(r"(?:[A-Za-z0-9_.*-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?:[0-9]{1,5}|\*))?")
_LISTEN: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, None where none is near."""
    return next(iter(difflib.get_close_matches(word[:LONGEST].lower(), list(known), n=1, cutoff=0.6)), None)


def hint(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?` for the known word nearest to `word`, or nothing."""
    match = closest(word, known) if isinstance(word, str) else None
    return f'; did you mean "{match}"?' if match else ""


def listed(words: Iterable[str]) -> str:
    """Return `"a", "b" or "c"`."""
    *head, last = (f'"{word}"' for word in words)
    return f"{', '.join(head)} or {last}" if head else last


def text(value: object) -> str:
    """Return a text of one line that is not empty."""
    if not isinstance(value, str):
        raise BadValueError("must be a text in quotes")
    if not value:
        raise BadValueError("must not be empty")
    if not value.isprintable():
        raise BadValueError("must be one line without control characters")
    return value


def path(value: object) -> str:
    """Return a Vault path, a mount or a name: segments of `A-Z a-z 0-9 _ -`, with `.` inside, between single `/`."""
    if not isinstance(value, str):
        raise BadValueError("must be a text in quotes")
    if not value:
        raise BadValueError("must not be empty")
    if len(value) > LONGEST:
        raise BadValueError(f"is longer than {LONGEST} characters")
    if _PATH.fullmatch(value) is None:
        if value.strip("/") != value:
            raise BadValueError('must not begin or end with "/"')
        raise BadValueError('takes only letters, digits, "_", "-", "." inside a word, and a single "/" between words')
    return value


def segment(value: object) -> str:
    """Return one segment of a path, for a cluster's name."""
    if not isinstance(value, str) or len(value) > LONGEST or _SEGMENT.fullmatch(value) is None:
        raise BadValueError('takes only letters, digits, "_", "-", and "." inside a word')
    return value


def namespace(value: object) -> str:
    """Return a Vault namespace, `""` for the root."""
    return "" if value == "" else path(value)


def absolute(value: object) -> Path:
    """Return an absolute path of the file system, without `.`, `..` or doubled `/`."""
    name = text(value)
    if not name.startswith("/") or name == "/" or any(part in {"", ".", ".."} for part in name.split("/")[1:]):
        raise BadValueError('must be an absolute path, e.g. "/etc/refresher/name", without ".", ".." or a doubled "/"')
    return Path(name)


def span(value: object) -> timedelta:
    """Return a duration written as `30s`, `10m`, `24h`, `7d` or `1h30m`: whole numbers, largest unit first."""
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None or not value:
        raise BadValueError('must be a duration such as "30s", "10m", "24h", "7d" or "1h30m"')
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not timedelta(0) < length <= LONGEST_SPAN:
        raise BadValueError("must be more than nothing and at most 36500d")
    return length


def spell(length: timedelta) -> str:
    """Return a duration as `span` reads it, in whole seconds."""
    hours, rest = divmod(int(length.total_seconds()), 3600)
    parts = ((hours // 24, "d"), (hours % 24, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def margin(value: object) -> Margin:
    """Return `renew_before`: a duration, or a percentage of the lifetime (`"25%"`)."""
    if isinstance(value, str) and value.endswith("%"):
        match = _SHARE.fullmatch(value)
        share = float(match.group(1)) / 100 if match else 0.0
        if not 0 < share < 1:
            raise BadValueError('a percentage must lie between 0 and 100, e.g. "25%"')
        return Margin(share=share)
    if not isinstance(value, str) or _SPAN.fullmatch(value) is None:
        raise BadValueError('must be a duration such as "10m", or a percentage of the lifetime such as "25%"')
    return Margin(duration=span(value))


def scopes(value: object) -> tuple[str, ...]:
    """Return scopes, from a list of texts or one text with spaces; characters as in RFC 6749 section 3.3."""
    parts = value.split(" ") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise BadValueError('must be a list of texts, or one text with spaces, e.g. ["read", "write"] or "read write"')
    if not all(_SCOPE.fullmatch(part) for part in parts):
        raise BadValueError("each scope must be visible ASCII without quote or backslash (RFC 6749, section 3.3)")
    return tuple(dict.fromkeys(parts))


def flag(value: object) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise BadValueError("must be true or false")  # pydantic reports a ValueError, and no other
    return value


def listen(value: object) -> str:
    """Return `HOST:PORT` on loopback, the absolute path of a Unix socket, or `""` for none."""
    if not isinstance(value, str) or not (value == "" or value.startswith("/") or _LISTEN.fullmatch(value)):
        raise BadValueError('must be HOST:PORT, e.g. "127.0.0.1:9377", the path of a Unix socket, or "" for none')
    if value.startswith("/"):
        if len(bytes(absolute(value))) > LONGEST_SOCKET:
            raise BadValueError(f"must be the path of a Unix socket of at most {LONGEST_SOCKET} bytes")
    elif value:
        host, _, port = value.rpartition(":")
        if not is_loopback(host) or not 0 < int(port) <= LAST_PORT:
            why = "must be a port on loopback (127.0.0.1, [::1], localhost): let a proxy serve it to other machines"
            raise BadValueError(why)
    return value


def is_loopback(host: str) -> bool:
    """Whether `host`, an IPv6 address in brackets, is this machine and nobody else."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def allowed_secret(value: object) -> str:
    """Return a pattern for references."""
    kind, _, rest = text(value).partition(":")
    if kind not in {"vault", "file", "credential", "env", "job"} or not rest:
        raise BadValueError(
            'must be a pattern for references, e.g. "vault:secret/payments/*" or "file:/etc/payments/*"'
        )
    return text(value)


def allowed_host(value: object) -> str:
    """Return a pattern for hosts, in lower case as they are compared."""
    if _ALLOWED_HOST.fullmatch(text(value)) is None:
        raise BadValueError('must be a host, e.g. "*.pay.example" or "id.example.com:8443", and no URL')
    return text(value).lower()


def one_of(*known: str) -> Callable[[object], str]:
    """Return a reader of one of the `known` words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        raise BadValueError(f"must be {listed(known)}{hint(value, known)}")

    return read
