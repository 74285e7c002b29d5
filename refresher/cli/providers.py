"""`refresher providers`: the catalogue, and a job to paste."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from textwrap import fill
from typing import Annotated, Final

import typer

from refresher.config.words import hint, spell
from refresher.providers import Provider, catalogue, example

NameArgument = Annotated[str | None, typer.Argument(help="Tell all that is known of this one, with a job to paste.")]
_WIDTH: Final = 100  # columns, where nobody looks at a terminal


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known of a provider. `hearsay`: no page of the vendor that was read says it."""

    what: str
    value: str
    hearsay: bool


def providers(name: NameArgument = None) -> int:
    known = catalogue()
    if name is None:
        _table(list(known.values()))
        return 0
    if name not in known:
        raise typer.BadParameter(f"there is no such provider{hint(name, known)}")
    _details(known[name])
    return 0


def facts(provider: Provider) -> Iterator[Fact]:
    """Yield what is known of `provider` and can be said in a line, in the order in which people ask."""
    environments = ", ".join(f"{name} ({url})" for name, url in provider.environments.items())
    known = (
        ("token_url", "token URL", provider.token_url),
        ("token_path", "token path", provider.token_path),
        ("environments", "environments", environments),
        ("environment", "usual one", provider.environment),
        ("vars", "vars", ", ".join(f"{name} (such as {value})" for name, value in provider.vars.items())),
        ("required", "needs also", ", ".join(f"{name} (such as {value})" for name, value in provider.required.items())),
        ("grant", "grant", provider.grant),
        ("grants", "all grants", ", ".join(provider.grants) if len(provider.grants) > 1 else ""),
        ("client_auth", "client_auth", provider.client_auth),
        ("body", "body", provider.body if provider.body != "form" else ""),
        ("params", "params", ", ".join(f"{name} = {value}" for name, value in provider.params.items())),
        ("scope", "scope", " ".join(provider.scope)),
        ("response", "answers", _response(provider)),
        ("lifetime", "lifetime", _span(provider.lifetime)),
        ("revokes_previous", "a new token", _choice(provider.revokes_previous, "kills the old one", "kills none")),
        ("refreshes", "refresh token", "used between full grants" if provider.refreshes else ""),
        ("single_use", "refresh token", _choice(provider.single_use, "void once used", "may be used again")),
        ("leeway", "leeway", provider.leeway and f"a used one may be sent again for {_span(provider.leeway)}"),
        (
            "refresh_token_idle",
            "dies unused",
            provider.refresh_token_idle and f"after {_span(provider.refresh_token_idle)}",
        ),
        (
            "refresh_token_lifetime",
            "dies anyhow",
            provider.refresh_token_lifetime and f"{_span(provider.refresh_token_lifetime)} after the consent",
        ),
    )
    ours = {"vars", "environment", *provider.verified}  # examples, and a choice of the catalogue's
    return (Fact(what, value, field not in ours) for field, what, value in known if value)


def wanted(provider: Provider) -> str:
    """Return the keys of a job that say where the token endpoint is, and what else is needed here alone."""
    if provider.base_url_required:
        address = ["base_url"]
    elif provider.token_url is None and provider.token_path is None:
        address = ["token_url"]
    else:
        address = ["environment"] * (bool(provider.environments) and provider.environment is None)
    return ", ".join((*address, *provider.vars, *provider.required))


def _response(provider: Provider) -> str:
    where = provider.response
    return ", ".join(
        f"{member} in {getattr(where, member)}"
        for member in ("access_token", "expires_in", "scope", "error")
        if getattr(where, member) is not None
    )


def _choice(known: bool | None, yes: str, no: str) -> str:  # noqa: FBT001  # a fact of the catalogue
    return "" if known is None else yes if known else no


def _span(length: timedelta | None) -> str:
    return spell(length) if length else ""


def _table(rows: list[Provider]) -> None:
    from rich.console import Console  # noqa: PLC0415  # with a NAME there is no table
    from rich.table import Table  # noqa: PLC0415  # as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("provider", "what it is", "grant", "a job also gives"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.title, row.grant or "any", wanted(row))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    console.print("\nrefresher providers NAME tells more, with a job to paste.")


def _details(provider: Provider) -> None:
    typer.echo(f"{provider.name}: {provider.title}\n\n  {'page':<14} {provider.docs}")
    known = list(facts(provider))
    for fact in known:
        typer.echo(f"  {fact.what:<14} {fact.value}{' *' if fact.hearsay else ''}")
    for code, meaning in provider.errors.items():
        typer.echo(f"  {f'error {code}':<14} {meaning}")
    if any(fact.hearsay for fact in known):
        typer.echo("\n  * not read on a page of the vendor, but in public code or in a library's tests")
    if provider.notes:
        typer.echo(f"\n{fill(provider.notes, _WIDTH)}")
    typer.echo(f"\n{example(provider)}", nl=False)
