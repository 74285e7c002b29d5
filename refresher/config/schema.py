"""The JSON schema of jobs.toml, for editors: made from the models, so that it knows the same keys."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from refresher.config.models import File
from refresher.config.request_keys import EXEC
from refresher.providers import catalogue


class _Generator(GenerateJsonSchema):
    """TOML has no null: a key that may be left out is just left out. Names are held to their pattern."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        return {key: value for key, value in made.items() if (key, value) != ("default", None)}

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema  # a title would only repeat the key
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        return made | {"additionalProperties": False} if "patternProperties" in made else made


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12)."""
    made = File.model_json_schema(schema_generator=_Generator)
    made["$defs"]["JobTable"]["properties"]["provider"]["enum"] = [*catalogue(), EXEC]
    return {"$schema": _Generator.schema_dialect, **made, "title": "jobs.toml"}
