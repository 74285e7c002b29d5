"""docs/reference/jobs-toml.md, made of the models: `python -m tests.config.reference` writes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import PlainValidator
from pydantic.fields import FieldInfo

from refresher.config import include_tables, models
from refresher.config.job_keys import JobTable
from refresher.config.keys import Kind, Table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "jobs-toml.md"
HEAD = """\
# jobs.toml

Every table and key. `refresher init` prints a commented file to start from, `refresher check` finds every mistake in
one at once, and `refresher schema` prints a JSON schema for editors.

This page is made of the models that read the file (`python -m tests.config.reference`); tests hold it to them and load
every example.

How values are written:

- **reference**: where a secret stands, never the secret itself. `vault:secret/clients/crm#client_secret` is a member of
  a Vault secret, its path as the vault command takes it (`vault:eu:secret/...` in `[clusters.eu]`);
  `file:/etc/refresher/crm.secret` a file of mode 0600; `credential:crm` a systemd credential; `env:CRM_SECRET` an
  environment variable. It is read at each renewal: a changed secret needs no restart.
- **duration**: `30s`, `10m`, `24h`, `7d`, or `1h30m`.
- **path**, **name**: letters, digits, `_`, `-`, and `.` inside; in a path with a single `/` between words.
- **URL**: `https://`; `http://` for this machine alone, and for a proxy. No user name, no `?`, no `#`. Where the type
  says so, `{name}` in it stands for one of the job's `vars`.
- **cron expression**: five fields as in crontab(5), each `*`, numbers, names, ranges, lists or steps. The day of the
  month or the day of the week stays `*`.

A key without a default may be left out, and is then not used, unless its meaning says more.
"""
TOP = "## Before the first table"
JOBS = """\
## `[jobs.NAME]` and `[defaults]`

A table `[jobs.NAME]` is one OAuth client at one provider, kept fresh at one or more Vault paths; its name is free. The
same keys in `[defaults]` count for every job that does not state them itself. Which keys a job needs depends on its
provider, its `grant` and its `client_auth`: `refresher check` tells what is missing and what makes no sense beside the
rest, and `refresher providers NAME` shows a job to paste.
"""


def page() -> str:
    parts = [HEAD, TOP, _rows(models.File), *_section("###", "`include`", include_tables.IncludeTable)]
    for name, field in models.File.model_fields.items():
        if (model := table_in(field.annotation)) is not None and name not in {"clusters", "defaults", "include"}:
            parts += _jobs() if model is JobTable else _section("##", _title(name), model)
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _title(name: str) -> str:
    titles = {"vault": "`[vault]` and `[clusters.NAME]`", "hooks": "`[hooks.NAME]`"}
    return titles.get(name, f"`[{name}]`")


def _jobs() -> Iterator[str]:
    yield JOBS
    groups = JobTable.__bases__[::-1]
    for group in groups:
        yield from _section("###", group.__name__.removesuffix("Keys"), group, inner=False)
    for group in groups:
        yield from _inner("###", group)


def _section(mark: str, title: str, model: type[Table], *, inner: bool = True) -> Iterator[str]:
    yield f"{mark} {title}"
    yield model.__doc__ or ""
    yield _rows(model)
    if inner:
        yield from _inner(f"{mark}#", model)


def _inner(mark: str, model: type[Table]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if (found := table_in(field.annotation)) is not None:
            yield from _section(mark, f"`{name}`", found)


def _rows(model: type[Table]) -> str:
    rows = [_row(name, field) for name, field in model.model_fields.items() if field.examples]
    head = (_line("key", "takes", "default", "meaning", "example"), _line(*["---"] * 5))
    return "\n".join((*head, *rows)) if rows else ""


def _row(name: str, field: FieldInfo) -> str:
    default = stated_default(field)
    examples = "<br>".join(f"`{toml(example)}`" for example in field.examples or ())
    shown = "" if default is None else f"`{toml(default)}`"
    return _line(f"`{name}`", takes(name, field), shown, field.description or "", examples)


def stated_default(field: FieldInfo) -> Any:
    """Return what counts where the key is left out, None where that is nothing."""
    extra = field.json_schema_extra
    stated = extra.get("default") if isinstance(extra, dict) else None
    return stated if stated is not None or field.is_required() else field.default or None


def takes(name: str, field: FieldInfo) -> str:
    """Return what the key takes, in words."""
    if found := [*_kinds(field.annotation), *_meant(field.metadata)]:
        return found[-1].format(name=name)
    raise AssertionError(f"no Kind says what {name} takes")


def _kinds(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is list:
        kinds = [kind for inner in get_args(annotation) for kind in _meant(getattr(inner, "__metadata__", ()))]
        yield from kinds or ["list of [tables](#{name})" if table_in(annotation) else "list of texts"]
    elif isinstance(annotation, type) and issubclass(annotation, Table):
        yield "[table](#{name})"
    else:
        yield from _meant(getattr(annotation, "__metadata__", ()))
        for inner in get_args(annotation):
            yield from _kinds(inner)


def _meant(metadata: Any) -> Iterator[str]:
    for each in metadata:
        if isinstance(each, Kind):
            yield each.words.replace("{", "{{").replace("}", "}}")
        elif isinstance(each, PlainValidator) and get_origin(each.json_schema_input_type) is Literal:
            yield ", ".join(f'`"{word}"`' for word in get_args(each.json_schema_input_type))


def table_in(annotation: Any) -> type[Table] | None:
    """Return the table that the values of a key are, or are lists or tables of."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((found for inner in get_args(annotation) if (found := table_in(inner)) is not None), None)


def toml(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case bool():
            return str(value).lower()
        case _:
            return json.dumps(value, ensure_ascii=False)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
