"""Which provider of the catalogue a token endpoint belongs to."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from refresher.core.job import GrantName
from refresher.migrate.web import split
from refresher.providers import Provider, catalogue
from refresher.providers.row import PLACEHOLDER

_TELLING: Final = 3  # segments: a path of so many names its provider, whatever the host


@dataclass(frozen=True, slots=True)
class Found:
    """A provider, and the keys of a job that say where its endpoint is."""

    provider: Provider
    keys: dict[str, Any] = field(default_factory=dict)


def recognise(url: str, grant: GrantName | None, members: Collection[str]) -> Found:
    """Return the provider whose endpoint `url` is; `oauth2` where there is none, or one that asks for something else.

    `grant` and the names of the request's `members` are what the line sends.
    """
    for provider in catalogue().values():
        keys = _keys(provider, url) if _fits(provider, grant, members) else None
        if keys is not None and keys.get("vars", {}).keys() == provider.vars.keys():
            return Found(provider, keys)
    return Found(catalogue()["oauth2"], {"token_url": url})


def _fits(provider: Provider, grant: GrantName | None, members: Collection[str]) -> bool:
    chosen = grant or provider.grant
    offered = not provider.grants or chosen in provider.grants or chosen == provider.grant
    whole = chosen != provider.grant or all(key in members for key in provider.required)
    return chosen is not None and offered and whole and not provider.dialect


def _keys(provider: Provider, url: str) -> dict[str, Any] | None:
    """Return the keys that lead to `url`, None where it is not this provider's."""
    if provider.token_url is not None:
        return _matched(provider.token_url, url) if _is_telling(provider, url) else None
    path = provider.token_path
    if path is None:
        return None
    for name, base in provider.environments.items():
        found = _matched(base + path, url)
        if found is not None:
            return ({} if name == provider.environment else {"environment": name}) | found
    if provider.base_url_required and path.count("/") >= _TELLING:
        scheme, colon, rest = url.partition("://")
        match = re.fullmatch(r"([^/]+(?:/[^/]+)?)" + _pattern(path), rest)
        if match is not None:
            values = match.groupdict()
            return {"base_url": f"{scheme}{colon}{match[1]}", **({"vars": values} if values else {})}
    return None


def _is_telling(provider: Provider, url: str) -> bool:
    """Whether the address says enough: where the whole host is a `{name}`, its path does, or the host's last labels."""
    parts = urlsplit(provider.token_url or "")
    if PLACEHOLDER.fullmatch(parts.netloc) is None or parts.path.count("/") >= _TELLING:
        return True
    example = provider.vars[parts.netloc.strip("{}")]
    return (split(url).hostname or "").endswith(".".join(["", *example.split(".")[-2:]]))


def _matched(template: str, url: str) -> dict[str, Any] | None:
    match = re.fullmatch(_pattern(template), url)
    if match is None:
        return None
    return {"vars": match.groupdict()} if match.groupdict() else {}


def _pattern(template: str) -> str:
    """Return a pattern in which each `{name}` of `template` is a word as `vars` takes it."""
    parts = PLACEHOLDER.split(template)  # text, name, text, name, ..., text
    word = "[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)*"
    return "".join(f"(?P<{part}>{word})" if number % 2 else re.escape(part) for number, part in enumerate(parts))
