"""`refresher plan`: when each job comes due and why, and how long an outage it survives."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.cli.status import look
from refresher.config.words import span
from refresher.standing import Plan, plan_of

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
    charges, now, holder = asyncio.run(look(settings))
    plans = sorted((plan_of(one, now, holder, horizon) for one in charges), key=lambda one: (one.at or LATEST, one.job))
    if as_json:
        for one in plans:
            print(json.dumps(one.as_json()))
    else:
        _table(plans, now, horizon)
    return 0


def _table(plans: list[Plan], now: datetime, horizon: timedelta) -> None:
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
        table.add_row(
            one.job,
            _words.moment(one.at),
            "-" if one.at is None else _words.span(max(one.at - now, timedelta())),
            one.reason,
            _words.span(one.lifetime),
            str(one.rotations),
            _words.span(one.outage_budget),
        )
    Console(highlight=False).print(table)
