"""`shadow = true`: beside the path, and never where that does harm."""

import pytest

from refresher.core import rights
from refresher.core.model import Location
from tests.config.conftest import VAULT, job

SHADOW = {"shadow": "true"}


def at(path: str) -> Location:
    return Location(mount="secret", path=path)


def test_it_writes_beside_each_path_and_reads_that(load):
    goals = '[{ path = "a", fields = { t = "{access_token}" } }, { mount = "kv", path = "b" }]'
    read = load(VAULT + job(path=None, destinations=goals, adopt="true", **SHADOW)).jobs["crm"]
    assert read.destinations == (at("a-shadow"), Location(mount="kv", path="b-shadow"))
    assert read.observed == (at("a"), Location(mount="kv", path="b"))
    assert read.fields_at(at("a-shadow")) == (("t", "{access_token}"),)
    assert not read.adopt, "what it says is for the path itself"


def test_without_it_nothing_is_observed(load):
    assert load(VAULT + job()).jobs["crm"].observed == ()
    assert load(VAULT + job(shadow="false")).jobs["crm"].observed == ()


def test_the_policy_lets_it_read_the_path_and_no_more(load):
    (ours, *_) = rights.policies(load(VAULT + job(**SHADOW)), {})
    assert ours.rules["secret/data/tokens/crm"] == ("read",)
    assert ours.rules["secret/data/tokens/crm-shadow"] == ("create", "update", "read")


def test_the_owner_may_be_another_job(load):
    jobs = load(VAULT + job() + job("next", **SHADOW)).jobs
    assert jobs["next"].observed == jobs["crm"].destinations


def test_two_jobs_beside_one_path(mistakes):
    (line,) = mistakes(VAULT + job(**SHADOW) + job("next", **SHADOW))
    assert line == "jobs.toml: [jobs.next] path: [jobs.crm] writes this path already"


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (
            {"grant": '"refresh_token"', "refresh_token": '"env:R"'},
            "would spend the refresh token that the paths' owner lives by",
        ),
        ({"revokes_previous": "true"}, "would kill the token that readers have"),
    ],
)
def test_what_would_do_the_owner_harm_is_refused(mistakes, keys, why):
    (line,) = mistakes(VAULT + job(**SHADOW, **keys))
    assert line.startswith(f"jobs.toml: [jobs.crm] shadow: {why}")
    assert "hand over without it (adopt = true)" in line
