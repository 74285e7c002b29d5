"""An administrator's Vault token: by reference, from a prompt, or a line of standard input; never an argument."""

import sys
from typing import Annotated, TypeAlias

import typer

from refresher.config.references import reference
from refresher.config.words import BadValueError
from refresher.core.secret import Secret
from refresher.core.settings import Settings
from refresher.host.credentials import LocalReferences

TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--token", metavar="REF", help="The administrator's token: file:, credential:, env:; else asked for."),
]
ClusterOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--cluster", metavar="NAME", help="That cluster alone; else, with a token, the default one."),
]
LONGEST = 4096  # characters


def administrators(option: str | None) -> Secret:
    """Return the token; raise UnreadableReferenceError, and exit 64 for one that can't be."""
    if option is not None:
        try:
            text = LocalReferences().read(reference(option)).reveal()
        except BadValueError:
            raise typer.BadParameter("--token must be a reference: file:, credential: or env:") from None
    elif sys.stdin.isatty():
        text = typer.prompt("Administrator's Vault token", hide_input=True, err=True)
    else:
        text = sys.stdin.readline(LONGEST)
    text = text.strip()
    if not text or not all("!" <= letter <= "~" for letter in text):
        raise typer.BadParameter("the administrator's token is empty, or has characters that no token has")
    return Secret(text)


def known_cluster(settings: Settings, name: str | None) -> str:
    """Return `name`, `""` for none; exit 64 for a cluster that jobs.toml does not have."""
    if name is None:
        return ""
    if name not in settings.clusters:
        raise typer.BadParameter(f"there is no table [clusters.{name}] in {settings.file}")
    return name
