"""`refresher plan`: when each job comes due and why, the load to come, and how long an outage each job survives."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from refresher.cli import _table, _words
from refresher.cli._chart import chart
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.config.words import span
from refresher.core import forecast
from refresher.core.settings import Settings
from refresher.host.clock import SystemClock

LATEST: Final = datetime.max.replace(tzinfo=UTC)
NAMED: Final = 3  # jobs in one warning
EVERY: Final = 6  # columns of the chart from one label to the next
ForOption = Annotated[str, typer.Option("--for", metavar="SPAN", help="How far ahead to count rotations.")]
DiffOption = Annotated[
    Path | None,
    typer.Option("--diff", metavar="NEW", help="What this file would change, were it jobs.toml; asks nobody."),
]
TOLD: Final = {
    "added": "{name}: is added, at {paths}",
    "removed": "{name}: is removed",
    "renamed": "{name}: is the new name of what was before ({text}){keys}{moves}",
    "changed": "{name}: changes{keys}{moves}",
    "orphaned": "{name}: {text}",
    "rights": "policy {name}: needs {text}: write it first",
    "restart": "{name}: {text}",
    "doubt": "{name}: {text}",
}


def plan(
    config: ConfigOption = None,
    ahead: ForOption = "24h",
    diff: DiffOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config))
    try:
        horizon = span(ahead)
    except ValueError as error:
        raise typer.BadParameter(f"--for {error}") from None
    if diff is not None:
        return _diff(settings, load_or_exit(diff), as_json=as_json)
    from refresher.cli._process import set_up  # noqa: PLC0415  # a diff touches no secret

    set_up(settings, quiet=True)
    from refresher.cli.status import ask_daemon  # noqa: PLC0415  # as above

    plans = ask_daemon(lambda client: client.plan(settings, round(horizon.total_seconds())))
    if plans is None:
        plans = _looked(settings, horizon)
    plans.sort(key=lambda one: (_moment(one["at"]) or LATEST, one["job"]))
    if as_json:
        for one in plans:
            print(json.dumps(one))
    else:
        now = SystemClock().now()
        headings = ("job", "due", "in", "why", "lives", f"in {_words.span(horizon)}", "survives")
        table = _table.lines(headings, [_cells(one, now) for one in plans], gives="job")
        print(*table, "", *_load(plans, now, horizon), *_warnings(plans), sep="\n")
    return 0


def _looked(settings: Settings, horizon: timedelta) -> list[dict[str, Any]]:
    """Return the rows from what stands in Vault and the ledger."""
    from refresher.cli.status import look  # noqa: PLC0415  # where no daemon was asked
    from refresher.scheduler.cron import CronCalendar  # noqa: PLC0415  # as above
    from refresher.standing import plan_of, plan_rows  # noqa: PLC0415  # as above

    seen, calendar = asyncio.run(look(settings)), CronCalendar()
    return plan_rows((plan_of(one, seen.now, seen.holder, calendar) for one in seen.charges), seen.now, horizon)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def _cells(one: dict[str, Any], now: datetime) -> tuple[str, ...]:
    at = _moment(one["at"])
    return (
        one["job"],
        _words.moment(at),
        "-" if at is None else _words.span(max(at - now, timedelta())),
        one["reason"],
        _words.span(_seconds(one["lifetime_s"])),
        str(one["rotations"]),
        _words.span(_seconds(one["outage_budget_s"])),
    )


def _load(plans: Sequence[dict[str, Any]], now: datetime, horizon: timedelta) -> Iterator[str]:
    """Yield a chart of the load, and the two figures that an operator plans by."""
    turns = [(_moment(one["at"]), _seconds(one["every_s"])) for one in plans]
    width, counts = forecast.load(turns, now, horizon)
    yield f"rotations per {_words.span(width)}: {sum(counts)} in {_words.span(horizon)}, {max(counts)} at most"
    moments = [now + width * number for number in range(len(counts))]
    form = "%H:%M" if horizon <= timedelta(days=1) else "%m-%d %H:%M"
    yield from chart(counts, [one.strftime(form) if n % EVERY == 0 else "" for n, one in enumerate(moments)])
    budgets = [(one["outage_budget_s"], one["job"]) for one in plans if one["outage_budget_s"] is not None]
    if budgets:
        shortest, name = min(budgets)
        least = _words.span(_seconds(shortest))
        yield f"every job survives an outage of its provider, or of Vault, of {least} (least: {name})"


def _warnings(plans: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield each warning once, with the jobs that it is of."""
    said: dict[str, list[str]] = {}
    for one in plans:
        for text in one["warnings"].values():
            said.setdefault(text, []).append(one["job"])
    for text, names in said.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield f"warning: {', '.join(names[:NAMED])}{more}: {text}"


def _diff(old: Settings, new: Settings, *, as_json: bool) -> int:
    from refresher import changes  # noqa: PLC0415  # for --diff alone

    found = changes.between(old, new)
    for one in found:
        if as_json:
            print(json.dumps(one.as_json()))
            continue
        keys = f" ({', '.join(one.keys)})" if one.keys else ""
        moves = f", goes to {', '.join(one.paths)}" if one.paths else ""
        line = TOLD[one.kind].format(name=one.name, text=one.text, paths=", ".join(one.paths), keys=keys, moves=moves)
        fetches = "; a token is fetched at once" if one.fetches else ""
        print(f"{one.kind:<9} {line}{fetches}")
    if not found and not as_json:
        print(f"{new.file}: changes nothing")
    return 0
