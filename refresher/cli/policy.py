"""`refresher policy`: the least Vault policies for this jobs.toml."""

import asyncio
import json
from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._token import ClusterOption, TokenOption, administrators, known_cluster
from refresher.core import rights
from refresher.core.rights import Policy

NameArgument = Annotated[str | None, typer.Argument(metavar="[NAME]", help="This policy alone, to pipe to vault.")]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Write them to Vault, by an administrator's token.")]


def policy(  # noqa: PLR0913, PLR0917  # a verb's options
    name: NameArgument = None,
    config: ConfigOption = None,
    apply: ApplyOption = False,  # noqa: FBT002  # typer's way to say a flag
    token: TokenOption = None,
    cluster: ClusterOption = None,
    as_json: JsonOption = False,  # noqa: FBT002  # as above
) -> int:
    settings = load_or_exit(find_config(config))
    one_cluster = known_cluster(settings, cluster)
    if apply or token is not None:
        from refresher.cli._process import set_up  # noqa: PLC0415  # a token is at work

        set_up(settings, quiet=True)
        from refresher.bootstrap import policies  # noqa: PLC0415  # the wire is for a hardened process

        secret = administrators(token)
        found = asyncio.run(policies(settings, one_cluster, secret, apply=apply))
    else:
        found = tuple((one, False) for one in rights.policies(settings, {}) if cluster in (None, one.cluster))
    shown = [(one, written) for one, written in found if name in (None, one.name)]
    if not shown:
        raise typer.BadParameter(f"there is no policy {name or ''!r} there; without NAME and --cluster all are printed")
    for one, written in shown:
        print(_json(one, written, applied=apply) if as_json else _text(one, written, applied=apply))
    return 0


def _text(one: Policy, written: bool, *, applied: bool) -> str:  # noqa: FBT001  # its policy's
    done = f" ({'written' if written else 'as it should be'})" if applied else ""
    return f"# policy {one.name}{f' of cluster {one.cluster}' if one.cluster else ''}{done}\n{one.hcl()}"


def _json(one: Policy, written: bool, *, applied: bool) -> str:  # noqa: FBT001  # as above
    members = {"cluster": one.cluster or "default", "name": one.name, "rules": one.rules, "hcl": one.hcl()}
    return json.dumps(members | {"written": written if applied else None})
