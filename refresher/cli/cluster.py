"""`refresher cluster`: what the nodes of a fleet share in PostgreSQL."""

import asyncio
import json
import os
from datetime import UTC, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from refresher.cli import _table as _tables
from refresher.cli import _words
from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.core.published import stamp
from refresher.core.settings import Postgres
from refresher.core.view import FleetView
from refresher.host.clock import SystemClock

if TYPE_CHECKING:
    from refresher.scheduler.queue_table import Node

HEADINGS: Final = ("state", "host", "node", "version", "up", "seen", "jobs", "config", "in hand")
COLOURS: Final = {"alive": _tables.GREEN, "gone": _tables.RED}
SHORT: Final = 8  # characters of a hash


class Deed(StrEnum):
    """What to do."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    VERIFY = "verify"
    NODES = "nodes"


DeedArgument = Annotated[
    Deed,
    typer.Argument(
        help="install, upgrade: make the schema, or bring it up to date, as its owner. verify: say what is missing. "
        "nodes: who is there."
    ),
]
DsnOption = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="URL",
        help="Connect as its owner, without a password in it ($PGPASSWORD, ~/.pgpass); else as jobs.toml says.",
    ),
]
RoleOption = Annotated[
    str | None,
    typer.Option("--role", metavar="NAME", help="The role of the nodes, which may use it; else that of jobs.toml."),
]


def cluster(
    deed: DeedArgument,
    config: ConfigOption = None,
    dsn: DsnOption = None,
    role: RoleOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # typer's way to say a flag
) -> int:
    settings = load_or_exit(find_config(config))
    set_up(settings, quiet=True)
    if settings.postgres is None:
        typer.echo(f'{settings.file}: [scheduler] kind: is "local": there is no cluster to speak of', err=True)
        return os.EX_CONFIG
    from refresher.scheduler.database import FleetError, check_owner  # noqa: PLC0415  # the extra, for this verb alone

    try:
        if dsn is not None:
            check_owner(dsn)
        return asyncio.run(_do(deed, settings.postgres, dsn or "", role, as_json=as_json))
    except FleetError as error:
        typer.echo(f"refresher cluster: {error}", err=True)
        return 1


def _json(node: "Node") -> str:
    members = {"holder": node.holder, "host": node.host, "version": node.version, "alive": node.alive}
    members |= {"started": stamp(node.started.astimezone(UTC)), "seen": stamp(node.seen.astimezone(UTC))}
    return json.dumps(members | {"jobs": node.jobs, "config": node.digest, "in_hand": node.in_hand})


def _table(nodes: "list[Node]") -> list[str]:
    """Return a line for each node, and what there is to say of them all; it takes 100 columns at the most."""
    now = SystemClock().now()
    cells = [
        (
            "alive" if node.alive else "gone",
            _tables.cut(node.host, 24),
            node.holder[:SHORT],
            _tables.cut(node.version, 10),
            _words.span(max(now - node.started, timedelta())),
            f"{_words.span(max(now - node.seen, timedelta()))} ago",
            str(node.jobs),
            node.digest[:SHORT],
            str(node.in_hand),
        )
        for node in nodes
    ]
    lines = _tables.lines(HEADINGS, cells, gives="host", coloured="state", colour=COLOURS.__getitem__)
    gone = [node.host for node in nodes if not node.alive]
    alive = [node for node in nodes if node.alive]
    words = FleetView(alive=tuple(node.host for node in alive), gone=tuple(gone)).words
    if len({node.digest for node in alive}) > 1:
        words += "; their jobs differ: reload those that have read an older jobs.toml"
    return [*lines, _tables.styled(words, _tables.BOLD)] if nodes else ["no node has been here"]


async def _do(deed: Deed, settings: Postgres, dsn: str, role: str | None, *, as_json: bool) -> int:
    from refresher.host.credentials import LocalReferences  # noqa: PLC0415  # as above
    from refresher.scheduler import administration  # noqa: PLC0415  # as above
    from refresher.scheduler.database import Database  # noqa: PLC0415  # as above

    database = Database(settings, holder=str(deed), read=LocalReferences().read)
    if deed is Deed.NODES:
        nodes = await administration.nodes(database, dsn)
        print("\n".join(map(_json, nodes) if as_json else _table(nodes)))
        return 0 if nodes and all(node.alive for node in nodes) else 1
    if deed is Deed.VERIFY:
        wrong = await administration.verify(database, dsn)
        lines = wrong or [f"schema {settings.schema}: as it should be"]
    else:
        wrong = []
        lines = await administration.install(database, dsn, role)
    for line in lines:
        print(json.dumps({"line": line}) if as_json else line)
    return 1 if wrong else 0
