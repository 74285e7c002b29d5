import json

import jsonschema

from refresher import config


def test_schema_is_json_on_standard_output(cli):
    code, out, err = cli("schema")
    assert (code, err) == (0, "")
    assert json.loads(out) == config.json_schema()
    jsonschema.Draft202012Validator.check_schema(json.loads(out))
