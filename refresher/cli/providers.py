"""`refresher providers`: the catalogue, and a job to paste."""

from typing import Annotated

import typer

from refresher.config.words import hint, spell
from refresher.providers import Provider, catalogue, example

NameArgument = Annotated[str | None, typer.Argument(help="Tell all that is known of this one, with a job to paste.")]


def providers(name: NameArgument = None) -> int:
    known = catalogue()
    if name is None:
        _table(list(known.values()))
        return 0
    if name not in known:
        raise typer.BadParameter(f"there is no such provider{hint(name, known)}")
    _details(known[name])
    return 0


def _table(rows: list[Provider]) -> None:
    from rich.console import Console  # noqa: PLC0415  # with a NAME there is no table
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("provider", "what it is", "grant", "client_auth", "host"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.title, row.grant or "any", row.client_auth, _host(row))
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print("\nrefresher providers NAME tells more, with a job to paste.")


def _host(provider: Provider) -> str:
    if provider.token_path is None:
        return "token_url"
    return ", ".join(provider.environments) or "base_url"


def _details(provider: Provider) -> None:
    facts = {
        "page": provider.docs,
        "token path": provider.token_path,
        "environments": ", ".join(f"{name} ({url})" for name, url in provider.environments.items()),
        "grant": provider.grant,
        "client_auth": provider.client_auth,
        "scope": " ".join(provider.scope),
        "lifetime": provider.lifetime and spell(provider.lifetime),
        "refresh token": "used between full grants" if provider.refreshes else "",
    }
    typer.echo(f"{provider.name}: {provider.title}\n")
    for what, fact in facts.items():
        if fact:
            typer.echo(f"  {what:<14} {fact}")
    for code, meaning in provider.errors.items():
        typer.echo(f"  {f'error {code}':<14} {meaning}")
    typer.echo(f"\n{provider.notes.strip()}\n\n{example(provider)}", nl=False)
