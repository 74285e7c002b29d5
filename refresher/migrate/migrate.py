"""From the text of a crontab to the text of a jobs.toml."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from refresher.migrate import crontab, table
from refresher.migrate.crontab import Entry
from refresher.migrate.draft import UntoldError, asks_for_token, job
from refresher.migrate.line import Line, look
from refresher.migrate.marks import NotUnderstoodError
from refresher.migrate.place import name, place
from refresher.migrate.store import kv_only
from refresher.migrate.table import Draft, Drafted
from refresher.migrate.web import Call, split

_USUAL_MOUNTS: Final = frozenset({"secret", "kv"})  # of KV secrets, if a line writes to them without saying so


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """`text` is a jobs.toml; `jobs` counts its jobs; `untold` says of other lines that may matter why they are none."""

    text: str
    jobs: int
    untold: tuple[tuple[int, str], ...]


def migrate(text: str, *, system: bool = False) -> Migrated:
    """Return the draft for the crontab `text`. `system`: each of its lines names a user, as in /etc/cron.d."""
    found = crontab.read(text, system=system)
    draft = Draft()
    draft.untold = [(number, "it is no line of a crontab (cron knows no continued lines)") for number in found.unread]
    lines = [line for entry in found.entries if (line := _looked(entry, draft)) is not None]
    _places(lines, draft)
    for line in lines:
        _draft(line, draft)
    draft.untold.sort()
    return Migrated(text=table.write(draft), jobs=len(draft.jobs), untold=tuple(draft.untold))


def _looked(entry: Entry, draft: Draft) -> Line | None:
    try:
        return look(entry)
    except NotUnderstoodError as problem:
        cut = " (cron ends a command at the first % without a backslash)" if entry.stdin else ""
        draft.untold.append((entry.number, f"its command can not be read: {problem}{cut}"))
    return None


def _places(lines: list[Line], draft: Draft) -> None:
    """Name the clusters that the lines write to, the most used one the default, and the mount most used."""
    known = {put.mount for line in lines for put in line.puts if put.sure} | _USUAL_MOUNTS
    for line in lines:
        line.puts = kv_only(line.puts, known)
    puts = [put for line in lines for put in line.puts if put.told]
    draft.mount = next((mount for mount, _ in Counter(put.mount for put in puts).most_common(1)), "secret")
    for (address, namespace), _ in Counter((put.address, put.namespace) for put in puts).most_common():
        host = (split(address).hostname or "vault").split(".")[0]
        plain = "-".join(part for part in (host, namespace.replace("/", "-").replace(".", "-")) if part)
        used = set(draft.clusters.values())
        fresh = next(each for each in (plain, *(f"{plain}-{number}" for number in range(2, 999))) if each not in used)
        draft.clusters[address, namespace] = fresh if draft.clusters else ""


def _draft(line: Line, draft: Draft) -> None:
    calls = [call for call in line.calls if asks_for_token(call, line)]
    line.calls = calls
    for call in calls:
        try:
            _job(line, call, draft)
        except UntoldError as problem:
            draft.untold.append((line.entry.number, f"it asks for a token, but {problem}"))
    if calls:
        return
    if line.programs:
        what = ", ".join(dict.fromkeys(line.programs))
        draft.untold.append((line.entry.number, f"it runs {what}, which was not looked into"))
    elif line.puts:
        draft.untold.append((line.entry.number, "it writes to Vault what it did not ask for itself"))


def _job(line: Line, call: Call, draft: Draft) -> None:
    host = split(line.context.text(call.url) or "").hostname or ""
    taken = {each.keys.job for each in draft.jobs}
    keys = job(line, call, name(line, host, taken))
    place(keys, line, call, draft.mount, draft.clusters)
    if line.sources:
        keys.notes.append(f"the line takes settings from {', '.join(line.sources)}, which was not opened")
    if line.programs:
        keys.notes.append(f"the line also runs {', '.join(dict.fromkeys(line.programs))}, which was not looked into")
    draft.jobs.append(Drafted(number=line.entry.number, schedule=line.entry.schedule, keys=keys))
