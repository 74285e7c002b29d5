"""The keys of [scheduler.postgres], and what a value means."""

import re
import warnings
from typing import Annotated, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, PlainValidator

from refresher.config import keys, words
from refresher.config.keys import Kind, Table, optional, usually

_IDENTIFIER: Final = r"^[a-z_][a-z0-9_]{0,39}$"
_SCHEMES: Final = ("postgresql", "postgres")


def dsn(value: object) -> str:
    """Return a connection string without a password."""
    text = words.text(value)
    try:
        parts = urlsplit(text)
        asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise words.BadValueError("must be a URL: postgresql://USER@HOST/DATABASE?sslmode=verify-full") from None
    if parts.scheme not in _SCHEMES:
        raise words.BadValueError("must begin with postgresql://, then USER@HOST/DATABASE")
    if parts.password is not None or "password" in asked:
        raise words.BadValueError('must hold no password: write it to a file, and password = "file:/..." beside it')
    return text


def identifier(value: object) -> str:
    """Return a name that PostgreSQL takes unquoted."""
    if not isinstance(value, str) or re.fullmatch(_IDENTIFIER[1:-1], value) is None:
        raise words.BadValueError('takes a-z, 0-9 and "_", at most 40 of them, and no digit first')
    return value


Dsn: TypeAlias = Annotated[str, PlainValidator(dsn, json_schema_input_type=str), Kind("URL")]
Identifier: TypeAlias = Annotated[str, PlainValidator(identifier, json_schema_input_type=str), Kind("name")]
InFlight: TypeAlias = Annotated[int, Field(ge=40, le=5000), Kind("whole number, 40 to 5000")]
AtOnce: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Provider: TypeAlias = Annotated[str, PlainValidator(words.segment, json_schema_input_type=str), Kind("name")]
PerProvider: TypeAlias = Annotated[dict[Provider, AtOnce], Kind("table of whole numbers")]


def _span(default: str, meaning: str, *examples: str) -> object:
    return Field(default=default, validate_default=True, description=meaning, examples=list(examples))


with warnings.catch_warnings():
    warnings.filterwarnings(
        "ignore", message='Field name "schema"'
    )  # pydantic has a method of that name, long out of use

    class PostgresTable(Table):
        """The PostgreSQL, of version 15 or newer, that the nodes share their jobs by. No secret is ever in it."""

        dsn: Dsn | None = optional(
            "Where, and as whom: direct or session-pooled. Required with `kind`; a password stands elsewhere.",
            "postgresql://refresher@pg.example.com/refresher?sslmode=verify-full",
        )
        password: keys.SecretKey | None = optional(
            "Its password: `file:`, `credential:` or `env:`; it is read at each connection.",
            "credential:refresher.postgres",
        )
        schema: Identifier = usually(  # type: ignore[assignment]  # of the method of that name
            "refresher", "The schema that `refresher cluster install` made: one for each fleet.", "refresher_eu"
        )
        lease: keys.Span = _span("30s", "A node that says nothing for so long has lost its jobs to the others.", "5s")  # type: ignore[assignment]  # a field
        poll: keys.Span = _span("2s", "How often a node that waits looks for jobs of lost nodes.", "1s")  # type: ignore[assignment]  # a field
        max_in_flight: InFlight = usually(200, "Jobs that a node has in hand at once.", 400)
        guard_idle: keys.Span = _span(  # type: ignore[assignment]  # a field
            "60s", "A node that is frozen for so long loses its locks: keep it below what readers are promised.", "2m"
        )
        reconcile: keys.Span = _span("5m", "How often jobs.toml is held against the table.", "1m")  # type: ignore[assignment]  # a field
        remove_grace: keys.Span = _span("10m", "A job that no node knows for so long is taken out of the table.", "1h")  # type: ignore[assignment]  # a field
        log_keep: keys.Span = _span("1h", "How long the table's own log is kept; the history is another.", "10m")  # type: ignore[assignment]  # a field
        per_provider: PerProvider = usually(
            {}, "Renewals at once at a provider, in the whole fleet; `[limits]` is for each node.", {"semansys": 20}
        )
