"""`refresher status`: how each job stands, from what its Vault paths hold."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from refresher.charge import Charge
from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.core.settings import Settings
from refresher.standing import status_of

BAR = 10
ORDER = ("latched", "unmanaged", "retrying", "unknown", "due", "fresh")
COLOURS = {"fresh": "green", "due": "yellow", "unknown": "yellow"}


def status(config: ConfigOption = None, as_json: JsonOption = False) -> int:  # noqa: FBT002  # typer's way to say a flag
    settings = load_or_exit(find_config(config))
    set_up(settings, quiet=True)
    charges, now, holder = asyncio.run(look(settings))
    rows = [(status_of(charge, now, holder), charge) for charge in charges]
    rows.sort(key=lambda row: (ORDER.index(str(row[0]["state"])), str(row[0]["expires_at"]), str(row[0]["job"])))
    if as_json:
        for row, _ in rows:
            print(json.dumps(row))
    else:
        _table(rows, now)
    return 0 if all(row["state"] == "fresh" for row, _ in rows) else 1


async def look(settings: Settings) -> tuple[list[Charge], datetime, str]:
    """Read every job's paths; return the charges, when that was, and who decides (for `decide`'s jitter)."""
    from refresher import daemon  # noqa: PLC0415  # --help needs none of it

    async with daemon.build(settings, looks=True) as parts:
        roster = parts.roster()
        roster.end_pass()  # only look: nothing is begun, and nobody is waited for
        await roster.look_all()
        return list(roster.charges.values()), parts.clock.now(), parts.identity.holder


def _bar(charge: Charge, now: datetime) -> str:
    held = next((one for one in charge.held or () if one is not None and one.expires_at == charge.expires_at), None)
    if held is None or held.expires_at is None or held.lifetime is None:
        return ""
    share = max(min((held.expires_at - now) / held.lifetime, 1.0), 0.0)
    return ("█" * round(share * BAR)).ljust(BAR, "░")


def _at(place: Mapping[str, object]) -> str:
    """Return the version that stands at a destination, or why it lacks the newest token."""
    return str(place.get("error") or place.get("version") or "-")


def _table(rows: list[tuple[dict[str, object], Charge]], now: datetime) -> None:
    from rich.console import Console  # noqa: PLC0415  # --json needs no tables
    from rich.table import Table  # noqa: PLC0415  # as above
    from rich.text import Text  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "provider", "state", "life left", "", "next", "path", "version"):
        table.add_column(name, no_wrap=name in ("state", "", "next"), overflow="ellipsis")
    for row, charge in rows:
        state = str(row["state"])
        left, places = row["life_left_s"], row["destinations"]
        renew_at = datetime.fromisoformat(str(row["renew_at"])) if row["renew_at"] else None
        first, *others = places if isinstance(places, list) else [{}]
        table.add_row(
            str(row["job"]),
            str(row["provider"]),
            Text(state, style=COLOURS.get(state, "bold red")),
            _bar(charge, now),
            _words.span(timedelta(seconds=left)) if isinstance(left, int) else "-",
            "-" if renew_at is None else f"in {_words.span(max(renew_at - now, timedelta()))}",
            str(first.get("path")),
            _at(first),
        )
        for place in others:
            table.add_row(*("" for _ in range(6)), str(place.get("path")), _at(place))
    console = Console(highlight=False)
    console.print(table)
    bad = sum(row["state"] != "fresh" for row, _ in rows)
    console.print(f"{len(rows)} jobs, all fresh" if not bad else f"{len(rows)} jobs, {bad} not fresh", style="bold")
