"""When a job is renewed besides its token's expiry."""

from datetime import timedelta

import pytest

from refresher.core.job import NO_TIMES, Times
from refresher.providers import catalogue
from tests.config.conftest import VAULT, job

REFRESH = {"grant": '"refresh_token"', "refresh_token": '"env:R"'}
DAY = timedelta(days=1)
EXEC = ("token_url", "grant", "client_id", "client_secret")


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"schedule": '"@daily"'}, "schedule: must have five fields"),
        ({"timezone": '"UTC"'}, "timezone: is not used without schedule: take it out"),
        ({"timezone": '"Mars"', "schedule": '"0 3 * * *"'}, "timezone: must be a time zone that this machine knows"),
        ({"refresh_every": '"1d"'}, "refresh_every: keeps a refresh token alive, and this job has none"),
        ({"max_age": '"1"'}, "max_age: must be a duration"),
        (REFRESH | {"refresh_every": '"1d"', "schedule": '"0 3 * * *"'}, "refresh_every: stands beside schedule"),
    ],
)
def test_one_mistake_is_one_line(mistakes, keys, line):
    (told,) = mistakes(VAULT + job(**keys))
    assert told.startswith(f"jobs.toml: [jobs.crm] {line}")


@pytest.mark.parametrize(
    ("keys", "times"),
    [
        ({}, NO_TIMES),
        ({"schedule": '"0 3 * * 1"'}, Times(schedule="0 3 * * mon")),
        (
            {"schedule": '"0 3 * * *"', "timezone": '"Europe/Lisbon"'},
            Times(schedule="0 3 * * *", timezone="Europe/Lisbon"),
        ),
        ({"max_age": '"1d"'}, Times(max_age=DAY)),
        (REFRESH | {"refresh_every": '"1d"'}, Times(refresh_every=DAY)),
        (REFRESH | {"refresh_every": '"1d"', "max_age": '"1d"'}, Times(refresh_every=DAY, max_age=DAY)),
    ],
)
def test_what_becomes_of_it(load, keys, times):
    settings = load(VAULT + job(**keys))
    assert settings.jobs["crm"].times == times
    assert (settings.jobs["crm"].times is NO_TIMES) == (not keys)
    assert settings.warnings == ()


def test_defaults_count_where_they_mean_something(load):
    defaults = '[defaults]\ntimezone = "Europe/Lisbon"\nrefresh_every = "1d"\n'
    scheduled = job("scheduled", schedule='"0 3 * * *"', path='"a"')
    jobs = load(VAULT + defaults + job() + scheduled + job("kept", path='"b"', **REFRESH)).jobs
    assert jobs["crm"].times is NO_TIMES
    assert jobs["scheduled"].times == Times(schedule="0 3 * * *", timezone="Europe/Lisbon")
    assert jobs["kept"].times == Times(refresh_every=DAY)


def test_a_provider_says_how_long_a_refresh_token_lives_unused(load):
    row = next(each for each in catalogue().values() if each.refresh_every and each.token_url and not each.vars)
    keys = REFRESH | {"provider": f'"{row.name}"', "token_url": None}
    assert load(VAULT + job(**keys)).jobs["crm"].times == Times(refresh_every=row.refresh_every)
    assert load(VAULT + job(**keys, refresh_every='"1d"')).jobs["crm"].times == Times(refresh_every=DAY)
    other = job(**keys | {"grant": '"client_credentials"', "refresh_token": None})
    assert load(VAULT + other).jobs["crm"].times is NO_TIMES


def test_an_age_beyond_the_lifetime_is_odd(load):
    (warning,) = load(VAULT + job(max_age='"1h"', lifetime='"1h"')).warnings
    assert "max_age: changes nothing: the token lives no longer than 1h anyway" in warning
    assert load(VAULT + job(max_age='"59m"', lifetime='"1h"')).warnings == ()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"reader_lag": '"5m"', "lifetime": '"1h"'}, None),
        ({"reader_lag": '"5m"'}, None),
        ({"reader_lag": '"5m"', "renew_before": '"10%"'}, None),
        ({"reader_lag": '"10m"', "renew_before": '"10m"'}, None),
        (
            {"reader_lag": '"1h"', "lifetime": '"1h"'},
            "the 10m of life that they are promised: {}; have them read more often",
        ),
        ({"reader_lag": '"1h"', "lifetime": '"8h"'}, "the 24m of life that they are promised: {}; raise renew_before"),
        (
            {"reader_lag": '"5m"', "renew_before": '"4m"'},
            "the 4m of life that they are promised: {}; raise renew_before",
        ),
    ],
)
def test_readers_that_read_too_seldom_for_what_they_are_promised_are_told_of(load, keys, told):
    settings = load(VAULT + job(**keys))
    assert settings.jobs["crm"].reader_lag is not None
    gap = "between two readings readers may hold a dead token"
    line = "" if told is None else f"[jobs.crm] reader_lag: is longer than {told.format(gap)}"
    assert [warning.partition(": ")[2] for warning in settings.warnings] == ([line] if line else [])


def test_readers_of_all_jobs_may_be_alike_and_a_programs_too(load):
    program = job("program", path='"b"', provider='"exec"', command='["/bin/x"]', **dict.fromkeys(EXEC))
    jobs = load(VAULT + '[defaults]\nreader_lag = "5m"\n' + job() + program).jobs
    assert {one.reader_lag for one in jobs.values()} == {timedelta(minutes=5)}
