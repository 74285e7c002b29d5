"""What an entry of `include` may say: the files, and what their jobs may name (a list of models.File)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from refresher.config import keys, words
from refresher.config.keys import Table, optional, usually


class AllowTable(Table):
    """What the jobs of these files may name; what is not listed is refused. `*` stands for any characters but `:`."""

    jobs: list[keys.Allowed] = usually([], "The names of jobs, and those that they had before.", ["payments-*"])
    secrets: list[keys.AllowedSecret] = usually(
        [],
        "References to secrets. The file of a certificate or key counts as `file:`, another job's token as `job:`.",
        ["vault:secret/payments/*", "file:/etc/refresher/payments/*", "job:payments-*"],
    )
    paths: list[keys.Allowed] = usually(
        [], "Where tokens are written: mount and path, after `CLUSTER:` for a named one.", ["secret/tokens/payments/*"]
    )
    hosts: list[keys.AllowedHost] = usually(
        [],
        "Hosts to connect to, proxies too, `HOST:PORT` where the port is not the usual one. An issuer's metadata lead "
        "nowhere else either.",
        ["*.pay.example", "id.example.com:8443"],
    )
    programs: list[keys.Allowed] = usually(
        [],
        "Programs to run (provider `exec`), with any arguments; their variables are refused. A program can do what "
        "refresher can.",
        ["/usr/local/lib/payments/*"],
    )
    hooks: list[keys.Allowed] = usually(
        [],
        "Hooks to name. A job that names none is told of to all; `[]`, which silences them, needs `*`.",
        ["payments-*"],
    )


class IncludeTable(Table):
    """More files with `[jobs.NAME]` tables. Left out, `allow` takes everything."""

    files: keys.Pattern = Field(
        description="The files, relative to this one. Required.", examples=["teams/payments/*.toml"]
    )
    allow: AllowTable | None = optional(
        "What their jobs may name.",
        {
            "jobs": ["payments-*"],
            "secrets": ["vault:secret/payments/*"],
            "paths": ["secret/tokens/payments/*"],
            "hosts": ["*.pay.example"],
        },
    )


def _include(value: Any) -> Any:  # noqa: ANN401  # pydantic goes on with what this returns
    if isinstance(value, dict):
        return value
    return IncludeTable.model_construct({"files"}, files=words.text(value))


Include = Annotated[
    IncludeTable,
    BeforeValidator(_include, json_schema_input_type=str | IncludeTable),
    keys.Kind("list of texts or [tables](#include)"),
]
