"""Whatever stands in the file: Settings, or ConfigError with lines for people. Nothing else comes out."""

import json
from datetime import UTC, date, datetime, time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refresher import config
from refresher.config import models
from refresher.core.errors import ConfigError
from refresher.core.settings import Settings
from tests.config.conftest import VAULT, job, write

KEYS = sorted(
    {
        key
        for table in vars(models).values()
        if isinstance(table, type) and issubclass(table, models.Table)
        for key in table.model_fields
    }
)
WORDS = [
    "oauth2",
    "semansys",
    "client_credentials",
    "basic",
    "a/b",
    "..",
    "10m",
    "25%",
    "file:/x",
    "vault:a/b#c",
    "",
    "x\ny",
    "https://a.example",
    "token",
]
texts = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = (
    texts
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats()
    | st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(1, 2)])
)
keys = st.sampled_from(KEYS) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
documents = st.dictionaries(keys, st.dictionaries(keys, values, max_size=5) | values, max_size=6)
jobs = st.dictionaries(
    texts, st.dictionaries(st.sampled_from(sorted(models.JobTable.model_fields)), values, max_size=8), max_size=3
)


def toml(value: object) -> str:
    """Return a value as inline TOML."""
    match value:
        case str():
            return json.dumps(value.encode(errors="replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case datetime() | date() | time():
            return value.isoformat()
        case _:  # true, 1, 0.5, inf, nan: as Python writes them, but for the capital
            return str(value).lower()


def load(folder, text: bytes) -> Settings | ConfigError:
    try:
        return config.load(write(folder, text))
    except ConfigError as error:
        return error


def survive(folder, text: bytes) -> Settings | ConfigError:
    outcome = load(folder, text)
    if isinstance(outcome, ConfigError):
        assert outcome.mistakes
        assert all(str(mistake).isprintable() for mistake in outcome.mistakes)
        assert len(set(outcome.mistakes)) == len(outcome.mistakes)
        assert outcome.__cause__ is None
        assert outcome.__context__ is None
    return outcome


patiently = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@patiently
@given(text=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes(tmp_path, text):
    survive(tmp_path, text)


@patiently
@given(document=documents)
def test_any_document(tmp_path, document):
    lines = [f"{toml(key)} = {toml(value)}" for key, value in document.items()]
    survive(tmp_path, "\n".join(lines).encode())


@patiently
@given(tables=jobs)
def test_any_jobs_beside_a_good_one(tmp_path, tables):
    lines = [f"{toml(name)} = {toml(table)}" for name, table in tables.items()]
    survive(tmp_path, (VAULT + "[jobs]\n" + "\n".join(lines) + "\n" + ("" if "crm" in tables else job())).encode())


@patiently
@given(key=st.sampled_from(sorted(models.JobTable.model_fields)), value=values)
def test_any_value_of_one_key_is_told_in_that_job(tmp_path, key, value):
    outcome = survive(tmp_path, (VAULT + job(**{key: toml(value)})).encode())
    if isinstance(outcome, ConfigError):
        assert {mistake.table for mistake in outcome.mistakes} == {"jobs.crm"}


@pytest.mark.parametrize("cut", range(0, len(VAULT + job()), 7))
def test_a_half_written_file(tmp_path, cut):
    survive(tmp_path, (VAULT + job())[:cut].encode())
