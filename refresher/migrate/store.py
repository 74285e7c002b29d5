"""What a line writes to Vault: by the vault or bao command, or by curl to its API."""

import re
from collections.abc import Mapping
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
_API: Final = re.compile(r"/v1/(?P<mount>.+?)/data/(?P<path>.+)|/v1/(?P<mount1>[^/]+)/(?P<path1>.+)")
_WRITES: Final = (["kv", "put"], ["kv", "patch"], ["write"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One write. An empty `mount` and `path`: it could not be told where. `fields`: the members that it writes."""

    mount: str = ""
    path: str = ""
    address: str = ""
    namespace: str = ""
    fields: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), repr=False)

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
    for word in words[len(kind) :]:
        name, equals, value = word.lstrip("-").partition("=")
        if word.startswith("-") and equals and not rest:
            options[name] = value
        elif not word.startswith("-") or rest:
            rest.append(word)
    whole = context.text(rest[0]) if rest else None
    mount, path = _cut(whole or "", context.text(options.get("mount", "")) or "", written=kind == ["write"])
    return Put(
        mount=mount,
        path=path,
        address=_setting(context, settings, options.get("address"), ADDRESSES),
        namespace=_setting(context, settings, options.get("namespace"), NAMESPACES),
        fields=tuple(word.partition("=")[0] for word in rest[1:] if re.match("[A-Za-z0-9_.-]+=", word)),
        words=tuple(rest[1:]),
    )


def put_by_call(call: Call, context: Context) -> Put | None:
    """Return what a request to Vault's own API writes, None where it is none."""
    names = {name for name, _ in call.headers}
    if "x-vault-token" not in names and not context.variables(call.url).intersection(ADDRESSES):
        return None
    url = call.url
    for mark in url:
        if context.variables(mark).intersection(ADDRESSES) and context.text(mark) is None:
            url = url.replace(mark, "https://unknown.invalid")
    parts = split(context.text(url) or "")
    match = _API.fullmatch(parts.path)
    address = _fit_address(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    address = "" if parts.hostname == "unknown.invalid" else address
    namespace = next((value for name, value in call.headers if name == "x-vault-namespace"), "")
    if match is None:
        return Put(address=address, words=tuple(call.bodies))
    mount, path = _cut(f"{match['mount'] or match['mount1']}/{match['path'] or match['path1']}", match["mount"] or "")
    return Put(mount=mount, path=path, address=address, namespace=_fit(namespace), words=tuple(call.bodies))


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


def _cut(whole: str, mount: str, *, written: bool = False) -> tuple[str, str]:
    """Return mount and path; without a `-mount` the first segment is taken for it."""
    whole, mount = whole.strip("/"), mount.strip("/")
    if mount:
        path = whole.removeprefix(f"{mount}/")
    else:
        mount, _, path = whole.partition("/")
    path = path.removeprefix("data/") if written else path
    return (mount, path) if _fit(mount) and _fit(path) else ("", "")
