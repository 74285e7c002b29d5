"""docs/reference/providers.md, made of the catalogue: `python -m tests.providers.reference` writes it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import fill

from refresher.cli.providers import facts, wanted
from refresher.config.words import spell
from refresher.providers import Provider, catalogue

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"
HEAD = """\
# Providers

What refresher knows of each provider, as data: `refresher providers NAME` shows the same, with a job to paste, and a
job's own keys win over it. To add one, see [Add a provider](../how-to/add-a-provider.md).

This page is made of the catalogue (`python -m tests.providers.reference`); a test holds it to it.

- **also give**: what a job has to say beside the client's id and secret. A name without a key of its own belongs into
  `vars`, such as `vars = { tenant = "acme" }`.
- **token lives**: what the vendor states. What an answer says counts, where it says something.
- **refresh token**: void once used (`once`), for how long a used one may be sent again (`+ 30m`), how long it lives
  unused and from the consent. Empty: the vendor does not say, or a setting of the app decides. refresher then takes it
  that a refresh token is void once used.
- **kills the old**: whether a new access token makes the one before it invalid.
- A fact marked \\* was not read on a page of the vendor, but in public code or in the tests of a library.
"""


def page() -> str:
    rows = list(catalogue().values())
    return "\n".join([HEAD, *_table(rows), *(line for row in rows for line in _section(row))]) + "\n"


def _table(rows: list[Provider]) -> Iterator[str]:
    headings = ("provider", "what it is", "usual grant", "also give", "token lives", "refresh token", "kills the old")
    yield _line(headings)
    yield _line(["---"] * len(headings))
    for row in rows:
        kills = {None: "", True: "yes", False: "no"}[row.revokes_previous]
        also = ", ".join(f"`{key}`" for key in wanted(row).split(", ") if key)
        name = f"[{row.name}](#{row.name})"
        yield _line((name, row.title, row.grant or "any", also, _span(row.lifetime), _refresh_token(row), kills))


def _section(row: Provider) -> Iterator[str]:
    yield f"\n## {row.name}\n"
    page_of = f"<{row.docs}>" if row.docs.startswith("https://") else row.docs
    yield f"{row.title}. Source: {page_of}\n"
    for fact in facts(row):
        yield f"- {fact.what}: {_code(fact.value)}" + " \\*" * fact.hearsay
    for code, meaning in row.errors.items():
        yield f"- error `{code}`: {meaning}"
    if "corpus" in row.verified:
        yield "- recorded answers of it are among the tests"
    if row.notes:
        yield "\n" + fill(row.notes, 120, break_long_words=False, break_on_hyphens=False)


def _refresh_token(row: Provider) -> str:
    parts = [
        {None: "", True: "once", False: "stays"}[row.single_use] + (f" + {_span(row.leeway)}" if row.leeway else ""),
        f"{_span(row.refresh_token_idle)} unused" if row.refresh_token_idle else "",
        f"{_span(row.refresh_token_lifetime)} in all" if row.refresh_token_lifetime else "",
    ]
    return ", ".join(part for part in parts if part)


def _code(value: str) -> str:
    """Return `value` as code where Markdown would read something into it."""
    return f"`{value}`" if set(value) & set("{}_<>*") else value


def _span(length: timedelta | None) -> str:
    return spell(length) if length else ""


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
