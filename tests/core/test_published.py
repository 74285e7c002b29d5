"""What readers find, and what is read back of it, whoever wrote it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import policy, published
from refresher.core.model import Absent, Found, Token
from refresher.core.policy import Facts, Held
from refresher.core.published import (
    StateRecord,
    by_our_clock,
    data_of,
    expiry,
    held_in,
    owned,
    record_data,
    record_of,
    unstamp,
)
from refresher.core.secret import Secret
from tests.core.builders import NOW, a_job

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # zoned below
ODD_TIMES = st.one_of(
    st.datetimes(timezones=st.just(UTC)).map(published.stamp),
    st.datetimes().map(datetime.isoformat),
    st.integers(-(10**14), 10**14).map(str),
    st.sampled_from(["", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "²", "٣"]),
    st.text(max_size=30),
)
MEMBERS = [
    "access_token",
    "job",
    "managed_by",
    "issued_at",
    "expires_at",
    "expires_at_unix",
    "generation",
    "updated_at",
]


def a_token(**changes) -> Token:
    return Token(**{"access_token": Secret("AT"), "issued_at": NOW, "expires_in": 3600} | changes)


def plain(data) -> dict[str, str]:
    return {name: value.reveal() for name, value in data.items()}


def found(data: dict[str, str], version: int | None = 3, **more) -> Found:
    return Found(version=version, data={name: Secret(text) for name, text in data.items()}, **more)


@given(TIMES, st.one_of(st.none(), st.integers(1, 2**31 - 1)), st.one_of(st.none(), st.timedeltas(timedelta(1))))
def test_what_is_written_is_read_back(issued_at, expires_in, lifetime):
    job, token = a_job(lifetime=lifetime), a_token(issued_at=issued_at, expires_in=expires_in)
    data = data_of(token, job, "default")

    held = held_in(found(plain(data)), job, "default")

    ends = expiry(token, job)
    assert held == Held(version=3, issued_at=issued_at.replace(microsecond=0), expires_at=ends, ours=True)
    assert ("expires_at" in data) == ("expires_at_unix" in data) == (ends is not None)
    if ends is not None:
        assert int(data["expires_at_unix"].reveal()) == int(ends.timestamp())
        assert ends.microsecond == 0


def test_what_nobody_asked_to_keep_is_not_published():
    token = a_token(
        refresh_token=Secret("RT"), extras={"id_token": Secret("ID"), "other": Secret("x")}, scope=("a", "b")
    )
    data = plain(data_of(token, a_job(keep=("id_token", "missing")), "blue"))
    assert "RT" not in data.values()
    assert (data["id_token"], data["scope"], data["managed_by"]) == ("ID", "a b", "refresher/blue")
    assert not {"other", "missing", "refresh_token"} & data.keys()


def test_what_is_kept_overwrites_nothing_of_ours():
    token = a_token(extras={"expires_at": Secret("never"), "job": Secret("other"), "access_token": Secret("ID")})
    data = plain(data_of(token, a_job(keep=("expires_at", "job", "access_token")), "default"))
    assert (data["access_token"], data["job"], data["expires_at"]) == ("AT", "crm", "2026-11-21T11:00:00Z")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T10:00:00Z", NOW),
        ("2026-11-21T12:00:00+02:00", NOW),
        ("2026-11-21T10:00:00.5Z", NOW + timedelta(seconds=0.5)),
        ("1970-01-01T00:00:00Z", published.EPOCH),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("2026-11-21T10:00:00", None),
        ("2026-11-21", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_moment_is_one_with_a_zone_since_1970(text, moment):
    assert unstamp(text) == moment


@given(TIMES, st.integers(-23, 23))
def test_a_stamp_is_read_back_whatever_its_zone(moment, hours):
    local = moment.replace(year=2028).astimezone(timezone(timedelta(hours=hours)))
    assert unstamp(published.stamp(local)) == local.replace(microsecond=0)


@given(st.dictionaries(st.sampled_from(MEMBERS), ODD_TIMES), st.booleans(), st.one_of(st.none(), TIMES), TIMES)
def test_whatever_stands_there_can_be_decided_on(members, marked, deletion_time, now):
    """A stranger can write anything to our paths; it must not stop the daemon."""
    job = a_job()
    mark = {"job": "crm", "managed_by": "refresher/default"} if marked else {}
    secret = found(members | mark, deletion_time=deletion_time)

    held = held_in(secret, job, "default")
    record = record_of(secret)

    facts = Facts(now=now, job=job, holder="h", held=(held,), known_ours=True)
    assert policy.decide(facts) == policy.decide(facts)
    assert 0 <= record.generation < 10**19
    if held is not None and held.expires_at is not None and deletion_time is not None:
        assert held.expires_at <= deletion_time


@pytest.mark.parametrize(
    ("data", "metadata", "path_is_ours", "value_is_ours"),
    [
        ({"job": "crm", "managed_by": "refresher/default", "access_token": "AT"}, {}, True, True),
        ({"job": "crm", "managed_by": "refresher/blue", "access_token": "AT"}, {}, False, False),
        ({"job": "erp", "managed_by": "refresher/default", "access_token": "AT"}, {}, False, False),
        ({"managed_by": "refresher/default", "access_token": "AT"}, {}, False, False),
        ({"access_token": "AT"}, {"job": "crm", "managed_by": "refresher/default"}, True, False),
        ({"access_token": "AT"}, {"managed_by": "refresher/default"}, False, False),
    ],
)
def test_the_metadata_says_whose_the_path_is_and_the_data_whose_the_value(data, metadata, path_is_ours, value_is_ours):
    secret = found(data, metadata=metadata)
    assert owned(secret, a_job(), "default") is path_is_ours
    assert held_in(secret, a_job(), "default").ours is value_is_ours


def test_nothing_is_nobodys():
    assert not owned(Absent(version=7), a_job(), "default")
    assert held_in(Absent(version=7), a_job(), "default") is None


def test_a_state_record_is_read_back():
    by = {"holder": "h", "nonce": "n"}
    record = StateRecord(version=4, refresh_token=Secret("RT"), generation=12, updated_at=NOW, **by)
    spending = StateRecord(version=5, generation=12, updated_at=NOW, spending=True, following=14, **by)
    assert record_of(Found(version=5, data=record_data(spending, a_job(), "default", NOW))) == spending
    assert (record.highest, spending.highest) == (12, 14)
    data = record_data(record, a_job(), "default", NOW)
    assert record_of(Found(version=4, data=data)) == record
    assert plain(data) == by | {
        "refresh_token": "RT",
        "generation": "12",
        "phase": "idle",
        "job": "crm",
        "managed_by": "refresher/default",
        "updated_at": "2026-11-21T10:00:00Z",
    }


@pytest.mark.parametrize("version", [0, 5, None])
def test_a_state_record_that_is_not_there_keeps_its_version(version):
    assert record_of(Absent(version=version)) == StateRecord(version=version)
    assert "refresh_token" not in record_data(StateRecord(version=version), a_job(), "default", NOW)


HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ahead", "written_ago", "moved"),
    [(HOUR, 20 * 60 * SECOND, HOUR), (31 * SECOND, timedelta(), 31 * SECOND), (29 * SECOND, timedelta(), timedelta())],
)
def test_what_a_clock_stamped_that_was_ahead_ends_sooner_than_it_says(ahead, written_ago, moved):
    """By Vault's own clock it was written `written_ago`: it can't have been issued later."""
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    issued = now - written_ago + ahead
    held = Held(version=3, issued_at=issued, expires_at=issued + HOUR)

    seen = by_our_clock(held, found({}, age=written_ago), now)

    assert seen == replace(held, issued_at=issued - moved, expires_at=issued + HOUR - moved)


@pytest.mark.parametrize("delay", [timedelta(), HOUR])
def test_what_was_written_after_it_was_issued_is_as_it_says(delay):
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    held = Held(version=3, issued_at=now - 2 * HOUR, expires_at=now)
    assert by_our_clock(held, found({}, age=2 * HOUR - delay), now) == held


def test_no_clock_is_doubted_where_vault_does_not_say_since_when_it_stands():
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    held = Held(version=None, issued_at=now + HOUR, expires_at=now + 2 * HOUR)
    assert by_our_clock(held, found({}, version=None), now) == held
    assert by_our_clock(replace(held, ours=False), found({}), now) == replace(held, ours=False)
    assert by_our_clock(None, Absent(version=1), now) is None
