"""`refresher schema`: the JSON schema of jobs.toml, for editors."""

import json

import typer

from refresher.config import json_schema


def schema() -> None:
    typer.echo(json.dumps(json_schema(), indent=2))
