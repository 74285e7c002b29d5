"""`refresher status`: how each job stands: from the running daemon, else from what its Vault paths hold."""

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from refresher.cli import _table as _tables
from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.core.settings import Settings
from refresher.host.clock import SystemClock

if TYPE_CHECKING:
    from refresher.charge import Charge
    from refresher.core.perishable import Perishable

BAR: Final = 10
ORDER: Final = ("latched", "unmanaged", "retrying", "unknown", "due", "paused", "fresh")
COLOURS: Final = {
    "fresh": _tables.GREEN,
    "due": _tables.YELLOW,
    "unknown": _tables.YELLOW,
    "paused": _tables.CYAN,
}
HEADINGS: Final = ("job", "provider", "state", "life left", "", "next", "last", "node", "path", "v")
BAR_AT, NODE_AT = HEADINGS.index(""), HEADINGS.index("node")
CLEAR: Final = "\x1b[H\x1b[2J"
DAEMON, VAULT = "from the running daemon", "from Vault and the ledger: no daemon was asked"
OFTEN, SELDOM = timedelta(seconds=2), timedelta(seconds=15)  # Vault is not ours alone
_T = TypeVar("_T")
WatchOption = Annotated[bool, typer.Option("--watch", help="Draw it again and again, until Ctrl-C.")]


def status(
    config: ConfigOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
    watch: WatchOption = False,  # noqa: FBT002  # as above
) -> int:
    if watch and as_json:
        raise typer.BadParameter("--watch is for people: leave --json out, and ask again")
    settings = load_or_exit(find_config(config))
    set_up(settings, quiet=True)
    if watch:
        return _watched(settings)
    rows, logins, source = _rows(settings)
    if as_json:
        print("\n".join([f"refresher status: {source}", *map(_login, logins)]), file=sys.stderr)
        for row in rows:
            print(json.dumps(row["status"]))
    else:
        print("\n".join([*_table(rows), _summary(rows, logins, source)]))
    return 0 if all(row["status"]["state"] == "fresh" for row in rows) else 1


def _rows(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """Return a row for each job (standing.row_of), the worst first, the logins to see to, and where they are from."""

    def asked(client: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:  # noqa: ANN401  # the module
        fleet = None if settings.postgres is None else client.fleet(settings)
        source = DAEMON if fleet is None else f"{DAEMON}; {fleet['words']}"
        return client.jobs(settings), client.logins(settings), source

    found = ask_daemon(asked)
    if found is None:
        from refresher.standing import logins_of, row_of  # noqa: PLC0415  # --help needs none of it

        seen = asyncio.run(look(settings))
        rows = [row_of(charge, seen.now, seen.holder) for charge in seen.charges]
        found = rows, logins_of(seen.logins, seen.now), seen.source
    return sorted(found[0], key=_rank), found[1], found[2]


def _rank(row: dict[str, Any]) -> tuple[int, str, str]:
    one = row["status"]
    return ORDER.index(one["state"]), str(one["expires_at"]), one["job"]


def ask_daemon(question: Callable[[Any], _T]) -> _T | None:
    """Return what the running daemon says; None where none does, said on standard error where one should."""
    from refresher.control import client  # noqa: PLC0415  # --help needs none of it

    try:
        return question(client)
    except client.NoDaemonError:
        return None
    except client.DaemonError as error:
        print(f"refresher: {error}; Vault is looked at instead", file=sys.stderr)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at Vault found, when that was, who decides (for `decide`'s jitter), and what else was looked at."""

    charges: "list[Charge]"
    logins: "dict[str, Perishable]"
    now: datetime
    holder: str
    source: str


async def look(settings: Settings) -> Seen:
    """Read every job's paths, and what stands behind them."""
    from refresher import daemon  # noqa: PLC0415  # --help needs none of it

    async with daemon.build(settings, looks=True) as parts:
        roster = parts.roster()
        roster.end_pass()  # only look: nothing is begun, and nobody is waited for
        await roster.look_all()
        logins = await parts.look_behind(roster)
        charges, holder, source = list(roster.charges.values()), parts.identity.seed, VAULT
        if settings.postgres is not None:
            from refresher.cli._fleet import heard  # noqa: PLC0415  # where there is a fleet

            source = await heard(settings.postgres, parts, roster)
        return Seen(charges=charges, logins=logins, now=parts.clock.now(), holder=holder, source=source)


def _watched(settings: Settings) -> int:
    """Draw what stands again and again, as much as the terminal holds; Ctrl-C ends it as it ends any verb."""
    clock = SystemClock()
    while True:
        rows, logins, source = _rows(settings)
        table = _table(rows)
        room = max(shutil.get_terminal_size().lines - 3 - len(logins), 1)
        hidden = len(table) - room
        shown = table if hidden <= 1 else [*table[:room], f"... and {hidden} that are better off"]
        print("\n".join([CLEAR, *shown, _summary(rows, logins, source)]), flush=True)
        asyncio.run(clock.sleep(OFTEN if source.startswith(DAEMON) else SELDOM))


def _bar(row: dict[str, Any]) -> str:
    left, lifetime = row["status"]["life_left_s"], row["lifetime_s"]
    if left is None or not lifetime:
        return ""
    share = float(max(min(left / lifetime, 1.0), 0.0))
    return ("█" * round(share * BAR)).ljust(BAR, "░")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    now = SystemClock().now()
    cells = [HEADINGS, *(line for row in rows for line in _cells(row, now))]
    fleet = any(row["status"].get("node") for row in rows)
    less = BAR_AT if fleet else NODE_AT  # a hundred columns have no room for both
    cells = [(*line[:less], *line[less + 1 :]) for line in cells]
    return _tables.lines(cells[0], cells[1:], gives="path", coloured="state", colour=_colour)


def _colour(state: str) -> str:
    return COLOURS.get(state, _tables.RED) if state else ""


def _cells(row: dict[str, Any], now: datetime) -> Iterator[tuple[str, ...]]:
    """Yield the line of a job, and one more for each further destination."""
    one = row["status"]
    state, left, (place, *others) = one["state"], one["life_left_s"], one["destinations"]
    yield (
        _tables.cut(one["job"], 20),
        _tables.cut(one["provider"], 15),
        f"{state} {one['failures']}" if state == "retrying" else state,
        _bar(row),
        "-" if left is None else _words.span(timedelta(seconds=left)),
        "-" if one["renew_at"] is None else f"in {_words.span(max(_since(one['renew_at'], now), timedelta()))}",
        _last(one["last"], now),
        _tables.cut(one.get("node") or "", 12),
        place["path"],
        _at(place),
    )
    for other in others:
        yield (*[""] * 8, other["path"], _at(other))


def _at(place: dict[str, Any]) -> str:
    """Return the version that stands at a destination, or why it lacks the newest token."""
    return str(place.get("error") or place["version"] or "-")


def _last(last: dict[str, Any] | None, now: datetime) -> str:
    if last is None:
        return "-"
    ago = _words.span(max(-_since(last["at"], now), timedelta()))
    return f"{_tables.cut(last['error'] or last['outcome'], 14)} {ago} ago"


def _since(text: str, now: datetime) -> timedelta:
    return datetime.fromisoformat(text) - now


def _login(one: dict[str, Any]) -> str:
    ends = f" (it ends {one['expires_at']})" if one["expires_at"] else ""
    return f"Vault ({one['cluster']}): {one['why']}{ends}"


def _summary(rows: list[dict[str, Any]], logins: list[dict[str, Any]], source: str) -> str:
    """Return what stands behind the jobs and ends soon, and the one line of them all."""
    soon = [
        f"{row['status']['job']}: its {one['secret'].replace('_', ' ')} ends {one['expires_at'][:10]}"
        for row in rows
        for one in row["status"].get("secrets", ())  # an older daemon has none
        if one["expiring"] and one["expires_at"]
    ]
    bad = sum(row["status"]["state"] != "fresh" for row in rows)
    total = f"{len(rows)} jobs, {f'{bad} not fresh' if bad else 'all fresh'} ({source})"
    return "\n".join([*map(_login, logins), *soon, _tables.styled(total, _tables.BOLD)])
