"""What a line writes to Vault: by the vault or bao command, or by curl to its API.

Rules of this module:
- A read is no write: a path that is wrongly taken for the job's would be overwritten.
- What is no KV secret (a login, a renewal, other engines) is never a job's place.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from refresher.config import addresses
from refresher.config.words import BadValueError
from refresher.migrate.shell import Command
from refresher.migrate.values import Context
from refresher.migrate.web import Call, split

ADDRESSES: Final = ("VAULT_ADDR", "BAO_ADDR")
NAMESPACES: Final = ("VAULT_NAMESPACE", "BAO_NAMESPACE")
_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?:/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)*")
_VERSIONED: Final = re.compile("(.+?)/data/(.+)")
_SYSTEM: Final = ("auth/", "sys/", "identity/")
_VALUED: Final = frozenset({"address", "cas", "field", "format", "header", "mount", "namespace", "ns"})  # with a value
_WRITES: Final = (["kv", "put"], ["kv", "patch"], ["write"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One write. An empty `mount` and `path`: it could not be told where. `fields`: the members that it writes.

    `sure`: its mount is one of KV secrets for sure; else it is where another write says so.
    """

    mount: str = ""
    path: str = ""
    address: str = ""
    namespace: str = ""
    fields: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), repr=False)
    sure: bool = field(default=True, compare=False)

    @property
    def told(self) -> bool:
        """Whether it is known where it writes."""
        return bool(self.mount and self.path)


def put(command: Command, context: Context) -> Put | None:
    """Return what the vault or bao command writes, None where it does not."""
    words = list(command.words[1:])
    kind = next((kind for kind in _WRITES if words[: len(kind)] == kind), None)
    if command.program not in ("vault", "bao") or kind is None:
        return None
    settings = {**context.settings, **command.settings}
    options: dict[str, str] = {}
    rest: list[str] = []
    given = iter(words[len(kind) :])
    for word in given:
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and not rest:
            options[name] = value if equals or name not in _VALUED else next(given, "")
        else:
            rest.append(word)
    whole = context.text(rest[0]) if rest else None
    if kind == ["write"]:
        if rest and _is_systems(whole or rest[0]):
            return None
        mount, path, sure = _api_place(whole or "")
    else:
        mount, path = _cut(whole or "", context.text(options.get("mount", "")) or "")
        sure = True
    return Put(
        mount=mount,
        path=path,
        address=_setting(context, settings, options.get("address"), ADDRESSES),
        namespace=_setting(context, settings, options.get("namespace"), NAMESPACES),
        fields=tuple(word.partition("=")[0] for word in rest[1:] if re.match("[A-Za-z0-9_.-]+=", word)),
        words=tuple(rest[1:]),
        sure=sure,
    )


def is_vaults(call: Call, context: Context) -> bool:
    """Whether a request goes to Vault's own API."""
    by_token = any(name == "x-vault-token" for name, _ in call.headers)
    return by_token or bool(context.variables(call.url).intersection(ADDRESSES))


def put_by_call(call: Call, context: Context) -> Put | None:
    """Return what a request to Vault's own API writes, None where it reads or concerns no secret."""
    url = call.url
    if not call.writes or _is_systems((context.text(url) or url).partition("/v1/")[2]):
        return None
    if len(call.urls) > 1:
        return Put(words=tuple(call.bodies))
    for mark in url:
        if context.variables(mark).intersection(ADDRESSES) and context.text(mark) is None:
            url = url.replace(mark, "https://unknown.invalid")
    parts = split(context.text(url) or "")
    address = _fit_address(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    address = "" if parts.hostname == "unknown.invalid" else address
    namespace = next((value for name, value in call.headers if name == "x-vault-namespace"), "")
    mount, path, sure = _api_place(parts.path.removeprefix("/v1/")) if parts.path.startswith("/v1/") else ("", "", True)
    return Put(mount=mount, path=path, address=address, namespace=_fit(namespace), words=tuple(call.bodies), sure=sure)


def kv_only(puts: list[Put], known: Collection[str]) -> list[Put]:
    """Return `puts` without the places of those whose mount may be another engine's. `known`: mounts of KV secrets."""
    return [each if each.sure or each.mount in known else Put(words=each.words) for each in puts]


def _is_systems(path: str) -> bool:
    return path.lstrip("/").startswith(_SYSTEM)


def _api_place(whole: str) -> tuple[str, str, bool]:
    """Return mount and path of what the API knows by `whole`, and whether that is a KV secret for sure."""
    if versioned := _VERSIONED.fullmatch(whole.strip("/")):
        return *_cut("/".join(versioned.groups()), versioned[1]), True
    return *_cut(whole, ""), False


def _fit_address(text: str) -> str:
    try:
        return addresses.url(text.rstrip("/"))
    except BadValueError:
        return ""


def _setting(context: Context, settings: Mapping[str, str], option: str | None, names: tuple[str, ...]) -> str:
    word = option if option is not None else next((settings[name] for name in names if name in settings), "")
    text = context.text(word) or ""
    return _fit_address(text) if names is ADDRESSES else _fit(text)


def _fit(text: str) -> str:
    return text.strip("/") if _PATH.fullmatch(text.strip("/")) else ""


def _cut(whole: str, mount: str) -> tuple[str, str]:
    """Return mount and path; without a `-mount` the first segment is taken for it."""
    whole, mount = whole.strip("/"), mount.strip("/")
    if mount:
        path = whole.removeprefix(f"{mount}/")
    else:
        mount, _, path = whole.partition("/")
    return (mount, path) if _fit(mount) and _fit(path) else ("", "")
