"""`refresher cluster`: what the nodes of a fleet share in PostgreSQL."""

import asyncio
import json
import os
from datetime import UTC
from enum import StrEnum
from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.core.settings import Postgres


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


async def _do(deed: Deed, settings: Postgres, dsn: str, role: str | None, *, as_json: bool) -> int:
    from refresher.host.credentials import LocalReferences  # noqa: PLC0415  # as above
    from refresher.scheduler import administration  # noqa: PLC0415  # as above
    from refresher.scheduler.database import Database  # noqa: PLC0415  # as above

    database = Database(settings, holder=str(deed), read=LocalReferences().read)
    if deed is Deed.NODES:
        nodes = await administration.nodes(database, dsn)
        for node in nodes:
            seen, started = node.seen.astimezone(UTC), node.started.astimezone(UTC)
            if as_json:
                members = {"holder": node.holder, "host": node.host, "version": node.version, "alive": node.alive}
                members |= {"started": f"{started:%Y-%m-%dT%H:%M:%SZ}", "seen": f"{seen:%Y-%m-%dT%H:%M:%SZ}"}
                print(json.dumps(members | {"jobs": node.jobs, "config": node.digest, "in_hand": node.in_hand}))
            else:
                state = "alive" if node.alive else "gone "
                print(
                    f"{state} {node.host} {node.holder} {node.version} since {started:%Y-%m-%d %H:%M:%S} "
                    f"seen {seen:%H:%M:%S} jobs {node.jobs} ({node.digest}) in hand {node.in_hand}"
                )
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
