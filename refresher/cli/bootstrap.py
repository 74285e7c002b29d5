"""`refresher bootstrap`: an administrator's set-up in one go."""

import asyncio
import json
import sys
from datetime import timedelta
from typing import Annotated

import typer

from refresher.cli._config import ConfigOption, JsonOption, find_config, load_or_exit
from refresher.cli._process import set_up
from refresher.cli._token import ClusterOption, TokenOption, administrators, known_cluster
from refresher.config import words

MakeOption = Annotated[bool, typer.Option("--make-mounts", help="Make KV mounts and the auth method that are missing.")]
OwnerOption = Annotated[str, typer.Option("--owner", metavar="TEXT", help="Who owns the tokens, for custom metadata.")]
DeleteOption = Annotated[
    str | None,
    typer.Option("--delete-after", metavar="SPAN", help="Have Vault delete versions of tokens that are older: 90d."),
]
NewOption = Annotated[bool, typer.Option("--new-secret-id", help="Make a secret ID although there is one.")]
WrapOption = Annotated[str, typer.Option("--wrap", metavar="SPAN", help="How long a wrapping token waits to be used.")]


def bootstrap(  # noqa: PLR0913, PLR0917  # a verb's options
    config: ConfigOption = None,
    token: TokenOption = None,
    cluster: ClusterOption = None,
    make_mounts: MakeOption = False,  # noqa: FBT002  # typer's way to say a flag
    owner: OwnerOption = "",
    delete_after: DeleteOption = None,
    new_secret_id: NewOption = False,  # noqa: FBT002  # as above
    wrap: WrapOption = "1h",
    as_json: JsonOption = False,  # noqa: FBT002  # as above
) -> int:
    settings = load_or_exit(find_config(config))
    set_up(settings, quiet=True)
    from refresher.bootstrap import Wish  # noqa: PLC0415  # the wire is for a hardened process
    from refresher.bootstrap import bootstrap as run  # noqa: PLC0415  # as above

    wish = Wish(
        cluster=known_cluster(settings, cluster),
        make_mounts=make_mounts,
        owner=owner,
        delete_after=None if delete_after is None else _span("--delete-after", delete_after),
        new_secret_id=new_secret_id,
        wrap=_span("--wrap", wrap),
    )
    ended = asyncio.run(run(settings, administrators(token), wish))
    secret = ended.credential.reveal() if ended.credential is not None else None
    if as_json:
        members = {"cluster": cluster or "default", "steps": ended.steps, "warnings": ended.warnings}
        print(json.dumps(members | {"kind": ended.kind or None, "credential": secret}))
        return 0
    for line in (*ended.steps, *(f"warning: {line}" for line in ended.warnings)):
        print(line, file=sys.stderr)
    if secret is not None:
        where = settings.clusters[wish.cluster].auth.credential
        print(f"The {ended.kind}, to be put where {where} leads (nothing else shows it again):", file=sys.stderr)
        print(secret)
    return 0


def _span(option: str, text: str) -> timedelta:
    try:
        return words.span(text)
    except words.BadValueError as problem:
        raise typer.BadParameter(f"{option} {problem}") from None
