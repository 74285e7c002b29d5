"""docs/reference/jobs-toml.md is what the models say, leaves nothing out, and every example on it is taken."""

from typing import Any

import jsonschema
import pytest

from refresher import config
from refresher.core.errors import ConfigError
from refresher.core.settings import Settings
from tests.config import reference
from tests.config.conftest import JOB, write
from tests.config.reference import models, stated_default, table_in, toml

FILE: dict[str, Any] = {
    "vault": {
        "address": "https://vault.example.com:8200",
        "state_mount": "state",
        "auth": {"method": "token", "token": "file:/run/secrets/vault-token"},
    },
    "clusters": {
        "eu": {"address": "https://eu.example.com", "auth": {"method": "token", "token": "file:/run/secrets/eu"}}
    },
}
FILE["scheduler"] = {"kind": "postgres", "postgres": {"dsn": "postgresql://refresher@localhost/refresher"}}
FILE["hooks"] = {"pager": {"command": ["/bin/true"]}, "reload-crm": {"reload": "nginx"}}
PLAIN: dict[str, Any] = {key: value.strip('"') for key, value in JOB.items()}
KEY = {"key": "file:/etc/refresher/crm.key"}
AUTHORIZE = {"flow": "authorization_code", "url": "https://id.example.com/authorize"}


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in PLAIN.items() if key not in keys} | more


# One of these is where an example belongs: what a key is for decides what stands beside it.
JOBS = (
    PLAIN,
    without(token_url="https://{tenant}.example.com/oauth/token", vars={"tenant": "acme"}),
    without("token_url", issuer="https://id.example.com"),
    without("token_url", provider="screening-eagle", base_url="https://id.example.com"),
    without("token_url", "grant", provider="semansys", environment="pre", username="u", password="env:P"),
    without("client_secret", client_auth="tls", cert_file="/etc/refresher/crm.pem"),
    without("client_secret", client_auth="private_key_jwt", client_key=KEY),
    without("client_secret", client_auth="private_key_jwt", client_assertion="file:/var/run/secrets/a"),
    without(grant="refresh_token", refresh_token="env:R"),
    without(grant="refresh_token", authorize=AUTHORIZE),
    without(grant="jwt_bearer", assertion=KEY),
    without(grant="token_exchange", subject_token="env:T"),
    without(schedule="0 3 * * *"),
    without("path", destinations=[{"path": "tokens/crm"}]),
    {"provider": "exec", "command": ["/usr/local/bin/fetch-token"], "path": "tokens/crm"},
)
HOOKS = ({"command": ["/bin/true"]}, {"url": "https://events.example.com"}, {"reload": "nginx"})
LOGIN = PLAIN | {"path": "tokens/login"}


def keys() -> dict[str, tuple[tuple[str, ...], Any]]:
    """Return every key by the name that people give it: where it stands in the file, and its field."""
    found: dict[str, tuple[tuple[str, ...], Any]] = {}

    def walk(model: type, path: tuple[str, ...]) -> None:
        for name, field in model.model_fields.items():
            here = (*path, "NAME", name) if path in {("jobs",), ("hooks",)} else (*path, name)
            inner = table_in(field.annotation)
            if inner is None or path or name == "include":
                found[".".join(here)] = here, field
            if inner is not None and name not in {"clusters", "defaults"}:
                walk(inner, here)

    walk(models.File, ())
    return found


KEYS = keys()
EXAMPLES = {
    f"{name} = {toml(example)}": (path, example)
    for name, (path, field) in KEYS.items()
    for example in field.examples or ()
}


def test_the_page_is_what_the_models_say():
    assert reference.PAGE.read_text("utf-8") == reference.page(), "python -m tests.config.reference writes it"


def test_the_page_leaves_no_key_and_no_table_out():
    page = reference.page()
    for name in (path[-1] for path, _ in KEYS.values()):
        assert f"| `{name}` | " in page
    for name, field in models.File.model_fields.items():
        if table_in(field.annotation) is not None:
            assert ("### `include`" if name == "include" else f"`[{name}") in page


@pytest.mark.parametrize("name", KEYS)
def test_every_key_says_what_it_takes_and_means_and_shows_an_example(name):
    path, field = KEYS[name]
    assert field.description.endswith("."), name
    assert field.examples, name
    assert reference.takes(path[-1], field), name


def documents(path: tuple[str, ...], value: Any) -> list[dict[str, Any]]:
    """Return files in which `value` stands at `path`, each with other keys beside it."""
    outer = KEYS.get(".".join(path[:-1]))
    if outer is not None:
        examples = [example for example in outer[1].examples if not isinstance(example, str)]
        tables = [each for each in examples if not isinstance(each, list) or isinstance(each[-1], dict)]
        inner = {path[-1]: value}
        wrapped = [[{**table[-1], **inner}] if isinstance(table, list) else {**table, **inner} for table in tables]
        return [document for each in wrapped for document in documents(outer[0], each)]
    if path[0] == "hooks":
        hooks = [FILE["hooks"] | {"NAME": hook | {path[-1]: value}} for hook in HOOKS]
        return [FILE | {"jobs": {"crm": PLAIN}, "hooks": each} for each in hooks]
    if path[0] != "jobs":
        return [_put(FILE | {"jobs": {"crm": PLAIN}}, path, value)]
    return [FILE | {"jobs": {"crm": {**job, path[-1]: value}, "login": LOGIN}} for job in JOBS]


def _put(table: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = path
    return table | {key: _put(table.get(key, {}), tuple(rest), value) if rest else value}


@pytest.fixture
def load(tmp_path):
    def load_document(document: dict[str, Any]) -> Settings:
        (tmp_path / "jobs.d").mkdir(exist_ok=True)
        return config.load(write(tmp_path, "".join(f"{key} = {toml(value)}\n" for key, value in document.items())))

    return load_document


def taken(load, found: list[dict[str, Any]]) -> tuple[dict[str, Any], Settings]:
    """Return the first document that has no mistake; fail where there is none."""
    mistakes = []
    for document in found:
        try:
            return document, load(document)
        except ConfigError as error:
            mistakes.append(str(error))
    return pytest.fail("\n".join(mistakes))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_taken_by_load_and_by_editors(load, example):
    document, _ = taken(load, documents(*EXAMPLES[example]))
    jsonschema.Draft202012Validator(config.json_schema()).validate(document)


@pytest.mark.parametrize("name", [name for name, (_, field) in KEYS.items() if stated_default(field) is not None])
def test_a_default_is_what_counts_where_the_key_is_left_out(load, name):
    path, field = KEYS[name]
    document, stated = taken(load, documents(path, stated_default(field)))
    left_out = load(_without(document, path if path[0] != "jobs" else ("jobs", "crm", *path[2:])))
    assert (stated.jobs, stated.clusters, stated.limits, stated.log, stated.drift_check, stated.instance) == (
        left_out.jobs,
        left_out.clusters,
        left_out.limits,
        left_out.log,
        left_out.drift_check,
        left_out.instance,
    )


def _without(table: Any, path: tuple[str, ...]) -> Any:
    if isinstance(table, list):
        return [_without(each, path) for each in table]
    key, *rest = path
    kept = {name: value for name, value in table.items() if name != key}
    return kept | {key: _without(table[key], tuple(rest))} if rest else kept
