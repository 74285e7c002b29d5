"""`refresher plan`: when each job comes due and why, and how long an outage it survives."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.cli.status import ask_daemon, look
from refresher.config.words import span
from refresher.host.clock import SystemClock
from refresher.standing import plan_of

LATEST: Final = datetime.max.replace(tzinfo=UTC)
ForOption = Annotated[str, typer.Option("--for", metavar="SPAN", help="How far ahead to count rotations.")]


def plan(
    config: ConfigOption = None,
    ahead: ForOption = "24h",
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config))
    try:
        horizon = span(ahead)
    except ValueError as error:
        raise typer.BadParameter(f"--for {error}") from None
    set_up(settings, quiet=True)
    plans = ask_daemon(lambda client: client.plan(settings, round(horizon.total_seconds())))
    if plans is None:
        charges, now, holder = asyncio.run(look(settings))
        plans = [plan_of(one, now, holder, horizon).as_json() for one in charges]
    plans.sort(key=lambda one: (_moment(one["at"]) or LATEST, one["job"]))
    if as_json:
        for one in plans:
            print(json.dumps(one))
    else:
        _table(plans, SystemClock().now(), horizon)
    return 0


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def _table(plans: list[dict[str, Any]], now: datetime, horizon: timedelta) -> None:
    from rich.console import Console  # noqa: PLC0415  # --json needs no tables
    from rich.table import Table  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = (
        "job",
        "due",
        "in",
        "why",
        "token lives",
        f"rotations in {_words.span(horizon)}",
        "survives an outage of",
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    for one in plans:
        at = _moment(one["at"])
        table.add_row(
            one["job"],
            _words.moment(at),
            "-" if at is None else _words.span(max(at - now, timedelta())),
            one["reason"],
            _words.span(_seconds(one["lifetime_s"])),
            str(one["rotations"]),
            _words.span(_seconds(one["outage_budget_s"])),
        )
    Console(highlight=False).print(table)
