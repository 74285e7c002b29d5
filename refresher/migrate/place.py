"""Where the token of a request goes: the destinations of its job, and what its readers will notice."""

import re
from collections.abc import Iterable

from refresher.migrate.client import Keys
from refresher.migrate.line import Line
from refresher.migrate.store import Put
from refresher.migrate.web import Call


def name(line: Line, host: str, taken: Iterable[str]) -> str:
    """Return a name for the job: the last word of its path, else one of its host's."""
    put = next((put for put in line.puts if put.told), None)
    labels = [
        label
        for label in host.split(".")
        if label not in ("www", "api", "auth", "id", "login", "oauth", "oauth2", "sso", "identity", "accounts")
    ]
    found = labels[0] if labels else "job"
    if put is not None and len(line.calls) == 1:
        found = put.path.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", found).strip("-") or "job"
    number = 2
    unique = plain
    while unique in taken:
        unique, number = f"{plain}-{number}", number + 1
    return unique


def place(keys: Keys, line: Line, call: Call, mount: str, clusters: dict[tuple[str, str], str]) -> None:
    """Set where the job writes. `mount` is the default cluster's; `clusters` are names by address and namespace."""
    if line.member and line.member != "access_token":
        keys.table["response"] = {"access_token": line.member}
    puts = [put for put in line.puts if put.told]
    if len(line.puts) > len(puts):
        keys.notes.append("path: the line writes to a place in Vault that could not be told")
    if len(line.calls) > 1:
        keys.notes.append("path: the line makes several requests; which of them fills which path could not be told")
        puts = []
    if not puts:
        _nowhere(keys, call)
        return
    tables = [_destination(put, mount, clusters) for put in dict.fromkeys(puts)]
    if len(tables) == 1 and tables[0].keys() == {"path"}:
        keys.table |= tables[0]
    else:
        keys.table["destinations"] = tables
    keys.table["adopt"] = True
    keys.notes.append("adopt: the cron line wrote this path; take the key out after the first rotation")
    others = sorted({member for put in puts for member in put.fields} - {"access_token"})
    if others:
        keys.notes.append(f"readers found {', '.join(others)} there; refresher writes access_token, expires_at, ...")


def _destination(put: Put, mount: str, clusters: dict[tuple[str, str], str]) -> dict[str, object]:
    cluster = clusters.get((put.address, put.namespace), "")
    own = {"cluster": cluster} if cluster else {}
    return {**own, **({"mount": put.mount} if put.mount != mount else {}), "path": put.path}


def _nowhere(keys: Keys, call: Call) -> None:
    keys.table["path"] = f"tokens/{keys.job}"
    if re.fullmatch(r"[A-Za-z0-9_.@+/-]+", call.output) and call.output != "/dev/null":
        keys.notes.append(f"path: the line wrote {call.output}; refresher writes to Vault, where readers have to look")
    else:
        keys.notes.append("path: where the line puts the token could not be told; readers find it here")
