"""The catalogue: every row is sound, a bad one is refused by name, and its job asks as the vendor's page says."""

import dataclasses
import tomllib
from datetime import timedelta
from importlib import resources
from urllib.parse import urlsplit

import pytest

from refresher import config
from refresher.core.job import Job
from refresher.providers import catalogue, example
from refresher.providers.provider import Provider, fill
from refresher.providers.row import PLACEHOLDER, READERS, BadRowError, read
from tests.config.conftest import VAULT
from tests.providers.requests import form, request_of

ROWS = list(catalogue().values())
SOUND = {
    "title": '"Acme"',
    "docs": '"https://acme.example/oauth"',
    "token_url": '"https://{tenant}.acme.example/token"',
    "vars": '{ tenant = "a" }',
    "grant": '"client_credentials"',
}


def text(**changes: str | None) -> str:
    return "\n".join(f"{key} = {value}" for key, value in (SOUND | changes).items() if value is not None)


def job_of(row: Provider, folder) -> Job:
    """Return the job that the row's example makes, through the loader that reads people's files."""
    file = folder / "jobs.toml"
    file.write_text(VAULT + example(row))
    file.chmod(0o644)
    settings = config.load(file)
    assert settings.warnings == ()
    return settings.jobs[row.name]


def test_every_file_is_a_row_and_every_row_has_its_name():
    files = (resources.files("refresher.providers") / "data").iterdir()
    assert sorted(file.name.removesuffix(".toml") for file in files) == list(catalogue()) == sorted(catalogue())
    assert len(ROWS) >= 24
    assert all(row.name == name for name, row in catalogue().items())


def test_every_field_has_a_reader():
    assert set(READERS) == {field.name for field in dataclasses.fields(Provider)} - {"name"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_are_sound(row):
    """What the reader can not see in one field: that a row is of use, and that it keeps to its own words."""
    assert row.docs.startswith("https://") or " " in row.docs
    assert row.grant is not None or not row.grants
    for address in (row.token_url, *row.environments.values()):
        parts = urlsplit(fill(address, row.vars)) if address else None
        assert parts is None or (parts.scheme == "https" and parts.hostname and not parts.username)
    assert not PLACEHOLDER.search(fill(row.token_path or "", row.vars))
    assert row.leeway is None or row.leeway < (row.lifetime or timedelta.max) * 2
    assert row.refresh_every is None or row.refresh_every * 2 == row.refresh_token_idle
    assert row.client_auth in {"basic", "basic_raw", "post"} or row.dialect
    assert all(words.isprintable() for words in (row.title, row.docs, row.notes, *row.errors, *row.errors.values()))
    assert len(row.title) <= 28, "refresher providers shows it in one line"
    if row.verified:
        assert row.docs != ""


def test_nobody_changes_a_row():
    with pytest.raises(TypeError):
        catalogue()["oauth2"] = ROWS[0]
    for name, where in (("semansys", "environments"), ("semansys", "errors"), ("zoom", "params"), ("zoom", "vars")):
        with pytest.raises(TypeError):
            getattr(catalogue()[name], where)["live"] = "https://elsewhere.example"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_example_is_a_job_that_asks_as_the_row_says(row, tmp_path):
    pasted = example(row)
    assert pasted.startswith(f"# {row.title}: {row.docs}\n")
    table = tomllib.loads(pasted)["jobs"][row.name]
    job = job_of(row, tmp_path)
    address = job.token_url
    assert urlsplit(address).scheme == "https"
    assert not set("{}") & set(address)
    if row.token_url:
        assert address == fill(row.token_url, row.vars)
    elif row.token_path:
        base = table.get("base_url") or row.environments[table.get("environment", row.environment)]
        assert address == fill(base + row.token_path, row.vars)
    assert (job.grant, job.client_auth) == (row.grant or "client_credentials", row.client_auth)
    assert (job.scope, job.lifetime, job.response) == (row.scope, row.lifetime, row.response)
    assert (job.shape.dialect, job.shape.body) == (row.dialect, row.body)
    assert {name: fill(value, row.vars) for name, value in row.params.items()}.items() <= dict(job.params).items()
    assert job.irreplaceable or job.grant != "refresh_token"
    assert {key: table[key] for key in row.required} == row.required


def asks(name: str, folder, **secrets: str) -> tuple[str, dict[str, str], str | None]:
    """Return URL, form and Authorization header of the request that the example job of `name` makes."""
    request = request_of(job_of(catalogue()[name], folder), **secrets)
    return request.url, form(request), dict(request.headers).get("Authorization")


def test_zoom_has_a_grant_of_its_own_name(tmp_path):
    url, fields, proof = asks("zoom", tmp_path, client_secret="s")
    assert (url, proof) == ("https://zoom.us/oauth/token", "Basic eW91ci1jbGllbnQtaWQ6cw==")
    assert fields == {"grant_type": "account_credentials", "account_id": "AbCdEfGhIjKlMnOpQrStUv"}


def test_auth0_is_told_the_audience(tmp_path):
    url, fields, proof = asks("auth0", tmp_path, client_secret="s")
    assert (url, proof) == ("https://acme.eu.auth0.com/oauth/token", None)
    assert fields == {
        "grant_type": "client_credentials",
        "audience": "https://api.example.com",
        "client_id": "your-client-id",
        "client_secret": "s",
    }


def test_a_refresh_goes_to_the_data_center_that_the_job_names(tmp_path):
    url, fields, _ = asks("zoho", tmp_path, client_secret="s", refresh_token="r")
    assert url == "https://accounts.zoho.com/oauth/v2/token"
    assert (fields["grant_type"], fields["refresh_token"]) == ("refresh_token", "r")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lifetme": "3600"}, "lifetme: there is no such field; there are title, docs, "),
        ({"title": None}, "title: is missing"),
        ({"docs": None}, "docs: is missing"),
        ({"docs": '"acme"'}, "docs: must be the address of the vendor's page, or the words that find it"),
        ({"title": '"a\\nb"'}, "title: must be a text of one line"),
        ({"token_url": '"http://{tenant}.acme.example/token"'}, "token_url: must be an https address"),
        ({"token_url": '"https://me@{tenant}.acme.example/token"'}, "token_url: must be an https address"),
        ({"token_url": '"https://{tenant}.acme.example/token?a=b"'}, "token_url: must be an https address"),
        ({"token_url": '"https://acme.example/token"'}, "vars: must be those that the addresses and params use: "),
        ({"vars": "{}"}, "vars: must be those that the addresses and params use: tenant"),
        ({"vars": '["tenant"]'}, "vars: must be a table of texts"),
        ({"params": '{ account = "{account}" }'}, "vars: must be those that the addresses and params use: account, "),
        ({"token_path": '"/token"'}, "token_path: goes with environments or a base URL"),
        ({"base_url_required": "true"}, "base_url_required and token_url: one of them"),
        ({"token_url": None, "base_url_required": "true", "vars": "{}"}, "token_path: goes with environments"),
        (
            {"token_url": None, "token_path": '"token"', "environments": '{ live = "https://{tenant}.example" }'},
            "token_path: must be a path that begins with /",
        ),
        (
            {"token_url": None, "token_path": '"/t"', "environments": '{ live = "https://{tenant}.example/x" }'},
            "environments: must be addresses without a path",
        ),
        (
            {
                "token_url": None,
                "token_path": '"/t"',
                "environments": '{ live = "https://{tenant}.example" }',
                "environment": '"test"',
            },
            "environment: is not in environments",
        ),
        ({"grant": '"code"'}, "grant: must be one of client_credentials, password, "),
        ({"grants": '["password"]'}, "grant: must be one of grants"),
        ({"grants": '"password"'}, "grants: must be a list of texts"),
        ({"client_auth": '"digest"'}, "client_auth: must be one of basic, basic_raw, post, "),
        ({"dialect": '"aws"'}, "dialect: must be one of github_app, google_service_account"),
        ({"lifetime": '"1h"'}, "lifetime: must be a whole number of seconds, 1 or more"),
        ({"lifetime": "true"}, "lifetime: must be a whole number of seconds"),
        ({"leeway": "30"}, "leeway: is for a single_use refresh token"),
        ({"single_use": '"yes"'}, "single_use: must be true or false; leave it out where nobody says"),
        ({"verified": '["lifetime"]'}, "verified: names what is not in the row: lifetime"),
        ({"response": '{ token = "t" }'}, "response: must be a table with some of access_token, "),
        ({"title": "'Acme"}, "Expected "),
    ],
)
def test_a_bad_row_is_refused_in_one_line(changes, why):
    with pytest.raises(BadRowError) as told:
        read("acme", text(**changes))
    assert str(told.value).startswith("acme.toml: ")
    assert why in str(told.value)
    assert "\n" not in str(told.value)


def test_a_sound_row_is_read():
    row = Provider(name="acme", **read("acme", text(refresh_token_idle="86400", single_use="true", leeway="30")))
    assert (row.refresh_every, row.leeway) == (timedelta(hours=12), timedelta(seconds=30))
    assert fill(row.token_url or "", {"tenant": "acme"}) == "https://acme.acme.example/token"
    with pytest.raises(KeyError):
        fill(row.token_url or "", {})
