"""`fields`: under which names readers find what."""

import pytest

from refresher.core.model import Location
from tests.config.conftest import VAULT, job

HEADER = '{ header = "Bearer {access_token}" }'
CRM = Location(mount="secret", path="tokens/crm")


def test_a_job_has_those_of_its_path(load):
    read = load(VAULT + job(fields='{ token = "{access_token}", ttl = "300s" }')).jobs["crm"]
    assert read.fields_at(CRM) == (("token", "{access_token}"), ("ttl", "300s"))
    assert load(VAULT + job()).jobs["crm"].fields_at(CRM) == ()


def test_a_destination_has_its_own_or_the_jobs(load):
    goals = f'[{{ path = "a" }}, {{ path = "b", fields = {HEADER} }}, {{ path = "c", fields = {{}} }}]'
    read = load(VAULT + job(path=None, destinations=goals, fields='{ token = "{access_token}" }')).jobs["crm"]
    a, b, c = (read.fields_at(place) for place in read.destinations)
    assert (a, b, c) == ((("token", "{access_token}"),), (("header", "Bearer {access_token}"),), ())


def test_those_of_defaults_are_every_jobs(load):
    read = load(VAULT + f"[defaults]\nfields = {HEADER}\n" + job()).jobs["crm"]
    assert read.fields_at(CRM) == (("header", "Bearer {access_token}"),)


def test_what_a_job_keeps_has_a_name_too(load):
    read = load(VAULT + job(keep='["id_token"]', fields='{ id = "{id_token}" }')).jobs["crm"]
    assert read.fields_at(CRM) == (("id", "{id_token}"),)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            '{ token = "{acess_token}" }',
            '[jobs.crm] fields.token: names a member that is not published; did you mean "access_token"?',
        ),
        ('{ t = "{access_token}", id = "{id_token}" }', "[jobs.crm] fields.id: names a member that is not published"),
        ('{ ttl = "300s" }', "[jobs.crm] fields: leaves readers without a token"),
        ('{ job = "x" }', '[jobs.crm] fields: "job" stands there in any case'),
        ('{ expires_at = "{access_token}" }', '"expires_at" stands there in any case'),
        ('{ t = "{access_token" }', "t has a brace that is not around the name of a member"),
        ('{ t = "{{access_token}}" }', "t has a brace"),
        ('{ "a b" = "{access_token}" }', "names are up to 128"),
        ("{ t = 1 }", "must be a table of texts"),
        ('"{access_token}"', "must be a table of texts"),
        ('{ t = "a\\nb" }', "t must be one line"),
        (f'{{ t = "{"x" * 5000}" }}', "t must be one line of at most 4096 characters"),
        ('{ t = "file:/etc/refresher/crm.secret" }', "is a reference to a secret"),
    ],
)
def test_what_no_reader_can_find(mistakes, fields, why):
    assert any(why in line for line in mistakes(VAULT + job(fields=fields)))


def test_a_mistake_names_its_destination(mistakes):
    goals = '[{ path = "a" }, { path = "b", fields = { t = "{acces_token}" } }]'
    (line, second) = mistakes(VAULT + job(path=None, destinations=goals))
    assert "[jobs.crm] destinations[1].fields.t: names a member that is not published" in line
    assert "destinations[1].fields: leaves readers without a token" in second


def test_a_token_to_exchange_is_read_under_its_name(load):
    other = job("api", grant='"token_exchange"', subject_token='"job:crm"', path='"tokens/api"')
    read = load(VAULT + job(fields='{ token = "{access_token}" }') + other).jobs["api"]
    assert str(read.shape.subject_token) == "vault:secret/tokens/crm#token"


def test_a_token_to_exchange_stands_by_itself(mistakes):
    other = job("api", grant='"token_exchange"', subject_token='"job:crm"', path='"tokens/api"')
    (line,) = mistakes(VAULT + job(fields=HEADER) + other)
    assert (
        "[jobs.api] subject_token: names a job whose fields show its access token under no name of its own: crm" in line
    )
