"""A file of the catalogue, read and checked: what is wrong with it is one line that names the file and the key.

Rules of this module:
- One reader for each field; a field without a reader is unknown, and an error.
- An address is https. A `{name}` in it stands for one of the row's `vars`, and each of those stands somewhere.
- What belongs together is checked together at the end, in `_judge`.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, get_args
from urllib.parse import urlsplit

from refresher.core.job import ClientAuth, GrantName, ResponseMap

GRANTS: Final[tuple[str, ...]] = get_args(GrantName)
CLIENT_AUTHS: Final[tuple[str, ...]] = get_args(ClientAuth)
DIALECTS: Final = ("", "github_app", "google_service_account")
PLACEHOLDER: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_PATH: Final = re.compile(r"/[A-Za-z0-9._~{}/-]*")


class BadRowError(ValueError):
    """A file of the catalogue that can not be used."""


def read(name: str, text: str) -> dict[str, Any]:
    """Return the fields of the row `name` by the names that Provider gives them; raise BadRowError."""
    try:
        table = tomllib.loads(text)
        row = {key: _reader(key)(value) for key, value in table.items()}
        _judge(row)
    except (tomllib.TOMLDecodeError, BadRowError) as problem:
        raise BadRowError(f"{name}.toml: {problem}") from None
    return row


def _reader(key: str) -> Callable[[Any], Any]:
    if key not in READERS:
        raise BadRowError(f"{key}: there is no such field; there are {', '.join(READERS)}")

    def checked(value: object) -> object:
        try:
            return READERS[key](value)
        except BadRowError as problem:
            raise BadRowError(f"{key}: {problem}") from None

    return checked


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise BadRowError("must be a text of one line")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRowError("must be a list of texts")
    return tuple(_text(item) for item in value)


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise BadRowError("must be a table of texts")
    return MappingProxyType({key: _text(item) for key, item in value.items()})


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadRowError("must be true or false; leave it out where nobody says")
    return value


def _span(value: object) -> timedelta:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRowError("must be a whole number of seconds, 1 or more")
    return timedelta(seconds=value)


def _one_of(*known: str) -> Callable[[object], str]:
    def checked(value: object) -> str:
        if value not in known:
            raise BadRowError(f"must be one of {', '.join(word for word in known if word)}")
        return str(value)

    return checked


def _url(value: object) -> str:
    url = _text(value)
    parts = urlsplit(PLACEHOLDER.sub("x", url))
    if parts.scheme != "https" or not parts.hostname or set(url) & set("@?# "):
        raise BadRowError("must be an https address, without a user, a query or a fragment")
    return url


def _path(value: object) -> str:
    path = _text(value)
    if not _PATH.fullmatch(path):
        raise BadRowError("must be a path that begins with /")
    return path


def _bases(value: object) -> Mapping[str, str]:
    for base in (bases := _table(value)).values():
        if urlsplit(_url(base)).path:
            raise BadRowError("must be addresses without a path")
    return bases


def _docs(value: object) -> str:
    docs = _text(value)
    if not docs.startswith("https://") and " " not in docs:
        raise BadRowError("must be the address of the vendor's page, or the words that find it")
    return docs


def _notes(value: object) -> str:
    return _text(value.strip() if isinstance(value, str) else value)


def _response(value: object) -> ResponseMap:
    if not isinstance(value, dict) or not set(value) <= set(ResponseMap.__dataclass_fields__):
        raise BadRowError(f"must be a table with some of {', '.join(ResponseMap.__dataclass_fields__)}")
    values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
    return ResponseMap(**values)


def _grants(value: object) -> tuple[str, ...]:
    return tuple(_one_of(*GRANTS)(grant) for grant in _texts(value))


READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "title": _text,
    "docs": _docs,
    "verified": _texts,
    "token_url": _url,
    "token_path": _path,
    "environments": _bases,
    "environment": _text,
    "base_url_required": _flag,
    "vars": _table,
    "required": _table,
    "grant": _one_of(*GRANTS),
    "grants": _grants,
    "client_auth": _one_of(*CLIENT_AUTHS),
    "body": _one_of("form", "json"),
    "params": _table,
    "scope": _texts,
    "dialect": _one_of(*DIALECTS),
    "lifetime": _span,
    "refreshes": _flag,
    "single_use": _flag,
    "leeway": _span,
    "refresh_token_lifetime": _span,
    "refresh_token_idle": _span,
    "revokes_previous": _flag,
    "response": _response,
    "errors": _table,
    "notes": _notes,
}


def _judge(row: Mapping[str, Any]) -> None:
    """Raise BadRowError where fields do not fit each other."""
    for key in ("title", "docs"):
        _demand(key in row, f"{key}: is missing")
    _address(row)
    used = _placeholders(row)
    declared = set(row.get("vars", ()))
    _demand(used == declared, f"vars: must be those that the addresses and params use: {', '.join(sorted(used))}")
    _demand(all(_NAME.fullmatch(name) for name in declared), "vars: names are lower case, with _ between words")
    grants = row.get("grants")
    _demand(grants is None or row.get("grant") in grants, "grant: must be one of grants")
    _demand("leeway" not in row or row.get("single_use", False), "leeway: is for a single_use refresh token")
    unknown = set(row.get("verified", ())) - set(row) - {"corpus"}
    _demand(not unknown, f"verified: names what is not in the row: {', '.join(sorted(unknown))}")


def _address(row: Mapping[str, Any]) -> None:
    ways = {"token_url", "environments", "base_url_required"} & set(row)
    _demand(len(ways) <= 1, f"{' and '.join(sorted(ways))}: one of them")
    _demand(("token_path" in row) == bool(ways - {"token_url"}), "token_path: goes with environments or a base URL")
    environment = row.get("environment")
    _demand(environment is None or environment in row.get("environments", ()), "environment: is not in environments")


def _placeholders(row: Mapping[str, Any]) -> set[str]:
    addresses: Iterable[str] = (row.get("token_url", ""), row.get("token_path", ""))
    texts = (*addresses, *row.get("environments", {}).values(), *row.get("params", {}).values())
    return {name for text in texts for name in PLACEHOLDER.findall(text)}


def _demand(holds: bool, why: str) -> None:  # noqa: FBT001  # a condition, not a switch
    if not holds:
        raise BadRowError(why)
