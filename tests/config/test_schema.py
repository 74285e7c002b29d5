"""What `refresher schema` gives editors says what `config.load` takes."""

import tomllib
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

from refresher.config import json_schema, models
from refresher.providers import catalogue
from tests.config.conftest import VAULT, job

TABLES = [found for found in vars(models).values() if isinstance(found, type) and issubclass(found, models.Table)]


@pytest.fixture(scope="module")
def validator():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_example_is_valid(validator):
    text = (Path(__file__).parents[2] / "jobs.toml").read_text()
    assert list(validator.iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        job(colour='"red"'),
        job(client_secret='"hunter2"'),
        job(path='"a//b"'),
        job(renew_before='"soon"'),
        job(renew_before='""'),
        job(provider='"semansis"'),
        job(grant='"jwt"'),
        job(adopt='"yes"'),
        job('"a b"'),
        '[clusters."a/b"]',
        "[limits]\ntotal = 0",
        "[log]\nlevel = 3",
        "[colour]",
        "drift_check = 900",
    ],
)
def test_an_editor_marks_what_load_refuses(validator, text):
    assert list(validator.iter_errors(tomllib.loads(text)))


def test_an_editor_takes_what_load_takes(validator, load):
    text = VAULT + job(scope='"a b"', renew_before='"1h30m"', response="{ error_ok = [0] }", params='{ a = "b" }')
    load(text)
    assert list(validator.iter_errors(tomllib.loads(text))) == []


def _tables(schema: dict) -> dict[str, dict]:
    return {"File": schema} | schema["$defs"]


@pytest.mark.parametrize("model", [table for table in TABLES if table not in (models.Table, models.Included)])
def test_models_and_schema_know_the_same_keys_and_explain_each(model: type[BaseModel]):
    table = _tables(json_schema())[model.__name__]
    assert set(table["properties"]) == set(model.model_fields)
    assert table["additionalProperties"] is False
    assert all("description" in key or "$ref" in key for key in table["properties"].values())  # a table has its own
    assert all("default" not in key or key["default"] is not None for key in table["properties"].values())


def test_names_are_held_to_their_pattern_and_providers_to_the_catalogue():
    schema = json_schema()
    for named in ("jobs", "clusters"):
        assert schema["properties"][named]["additionalProperties"] is False
        assert len(schema["properties"][named]["patternProperties"]) == 1
    assert schema["$defs"]["JobTable"]["properties"]["provider"]["enum"] == [*catalogue(), "exec"]
