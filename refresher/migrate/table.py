"""Writes the draft: a jobs.toml with its jobs, and what could not be told as comments."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from refresher.migrate.client import Keys

_WIDTH = 110
_HEAD = """\
Drafted from a crontab; nothing of it was run. It holds no secret, only where secrets are to stand.
Look at each comment, then: refresher check --live"""


@dataclass(slots=True, kw_only=True)
class Drafted:
    """One job, and the line that it came from."""

    number: int
    schedule: str
    keys: Keys


@dataclass(slots=True, kw_only=True)
class Draft:
    """`clusters`: names by address and namespace, `""` the default one. `untold`: number of a line, and why."""

    mount: str = "secret"
    clusters: dict[tuple[str, str], str] = field(default_factory=dict)
    jobs: list[Drafted] = field(default_factory=list)
    untold: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write(draft: Draft) -> str:
    """Return the text of a jobs.toml."""
    return "\n".join([*_comment(_HEAD), *_body(draft)]) + "\n"


def _body(draft: Draft) -> Iterator[str]:
    if draft.jobs:
        clusters = {name: where for where, name in draft.clusters.items()}
        yield from _vault("vault", *clusters.pop("", ("", "")), draft.mount)
        for name, (address, namespace) in sorted(clusters.items()):
            yield from _vault(f"clusters.{name}", address, namespace, draft.mount)
    for each in draft.jobs:
        yield ""
        yield from _comment(
            f'Line {each.number}, "{each.schedule}": refresher renews by the token\'s own life instead.'
        )
        for note in each.keys.notes:
            yield from _comment(note, "- ")
        yield f"[jobs.{_key(each.keys.job)}]"
        yield from (f"{key} = {value(item)}" for key, item in each.keys.table.items())
    if draft.untold:
        yield ""
        yield from _comment("What could not be told, and is in no job:")
        for number, why in draft.untold:
            yield from _comment(f"line {number}: {why}", "- ")
    for note in draft.notes:
        yield ""
        yield from _comment(note)


def _vault(table: str, address: str, namespace: str, mount: str) -> Iterator[str]:
    yield ""
    if not address:
        yield from _comment("The crontab names no address: put in yours, or leave it out to take $VAULT_ADDR.")
    yield from _comment("refresher logs in by itself: refresher check --live tells whether it may.")
    yield f"[{table}]"
    yield f"address = {value(address or 'https://vault.example.com:8200')}"
    if namespace:
        yield f"namespace = {value(namespace)}"
    yield f"mount = {value(mount)}"
    yield 'auth = { method = "approle", role_id = "REPLACE-ME", secret_id = "credential:refresher.vault-secret-id" }'


def _comment(text: str, bullet: str = "") -> Iterator[str]:
    for line in text.splitlines():
        wrapped = textwrap.wrap(line, _WIDTH, break_on_hyphens=False, break_long_words=False)
        yield from (f"# {bullet if not number else ' ' * len(bullet)}{part}" for number, part in enumerate(wrapped))


def value(item: object) -> str:
    """Return a value as TOML writes it: texts, lists, tables, true."""
    if isinstance(item, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {value(inner)}" for key, inner in item.items()) + " }"
    if isinstance(item, list):
        return "[" + ", ".join(value(inner) for inner in item) + "]"
    return json.dumps(item, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML takes JSON's escapes


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)
