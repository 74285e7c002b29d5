"""How a walk ended, as JSON and as events: the shape of each, and how loud it is."""

import json
from datetime import timedelta
from pathlib import Path
from typing import get_args

import jsonschema
import pytest

from refresher.core import outcome
from refresher.core.job import Job
from refresher.core.model import Location
from refresher.core.outcome import (
    Outcome,
    OutcomeName,
    crashed,
    tell_crashed,
    tell_failed,
    tell_recovered,
    tell_rotated,
)
from refresher.core.policy import Trouble
from tests.core.builders import NOW, PLACE, a_job, a_token_held

SHAPE = json.loads((Path(__file__).parents[2] / "docs/reference/schemas/once.json").read_text())
OTHER = Location(cluster="eu", mount="kv", path="tokens/crm")
NAMES: tuple[OutcomeName, ...] = get_args(OutcomeName)


def an_outcome(name: OutcomeName = "rotated", **changes) -> Outcome:
    return Outcome(**{"job": "crm", "outcome": name, "reason": "due", "places": (PLACE,), "versions": (4,)} | changes)


def trouble(**changes) -> Trouble:
    values = {"kind": "transient", "error": "http_503", "count": 1, "since": NOW, "retry_at": NOW}
    return Trouble(**values | changes)


@pytest.mark.parametrize("name", NAMES)
def test_every_outcome_has_the_promised_shape(name):
    full = an_outcome(
        name,
        error="http_503",
        http_status=503,
        retry_after=30,
        expires_at=NOW + timedelta(hours=1, microseconds=1),
        renew_at=NOW,
        places=(PLACE, OTHER),
        versions=(4, None),
        duration_ms=13,
    )
    for one in (full, an_outcome(name), crashed(a_job(), None, (None,))):
        jsonschema.validate(json.loads(json.dumps(one.as_json())), SHAPE)
    assert full.as_json() == {
        "job": "crm",
        "outcome": name,
        "reason": "due",
        "error": "http_503",
        "http_status": 503,
        "retry_after": 30,
        "expires_at": "2026-11-21T11:00:00Z",
        "renew_at": "2026-11-21T10:00:00Z",
        "destinations": [
            {"path": "secret/tokens/crm", "version": 4, "error": None},
            {"path": "eu:kv/tokens/crm", "version": None, "error": None},
        ],
        "duration_ms": 13,
    }


def test_the_shape_knows_every_outcome():
    assert set(SHAPE["properties"]["outcome"]["enum"]) == set(NAMES)


def test_readers_are_well_served_by_two_of_them():
    assert [name for name in NAMES if an_outcome(name).well] == ["rotated", "fresh"]


@pytest.mark.parametrize(
    ("ended", "answered"),
    [
        (an_outcome("rotated"), True),
        (an_outcome("rotated", reason="unwritten"), None),
        (an_outcome("fresh"), None),
        (an_outcome("rejected_permanent", error="invalid_client"), True),
        (an_outcome("rejected_malformed", error="body"), True),
        (an_outcome("rejected_transient", error="deadline"), False),
        (an_outcome("store_failed", error="sealed"), None),
        (an_outcome("halted", error="latched"), None),
    ],
    ids=lambda value: f"{value.outcome}-{value.reason}" if isinstance(value, Outcome) else "",
)
def test_what_a_walk_says_about_the_token_host(ended, answered):
    assert ended.host_answered is answered


def test_a_rotation_is_told_and_a_recovery_before_it():
    before = trouble(count=7)
    recovered, rotated = tell_rotated(an_outcome(), before, {"version": 4})
    assert (recovered.name, recovered.job) == ("recovered", "crm")
    assert dict(recovered.fields) == {"error": "http_503", "failures": 7, "since": "2026-11-21T10:00:00Z"}
    assert (rotated.name, rotated.level, rotated.fields["version"]) == ("rotated", "info", 4)
    assert rotated.fields["path"] == "secret/tokens/crm"
    assert not {"error", "http_status", "retry_after", "expires_at", "destinations", "job"} & rotated.fields.keys()


@pytest.mark.parametrize("before", [None, trouble(kind="outage")])
def test_no_recovery_is_told_of_what_was_not_told(before):
    assert tell_recovered("crm", before) == ()
    assert [one.name for one in tell_rotated(an_outcome(), before, {})] == ["rotated"]


def test_several_paths_are_a_list():
    event = tell_rotated(an_outcome(places=(PLACE, OTHER), versions=(4, 2)), None, {})[0]
    assert event.fields["path"] == ("secret/tokens/crm", "eu:kv/tokens/crm")


MALFORMED = {"kind": "malformed"}
PERMANENT = {"kind": "permanent", "error": "invalid_client", "credential": "c1"}
STORE = {"kind": "store", "error": "denied"}


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("rejected_transient", None, {}, ("failing", "warning")),
        ("rejected_transient", {}, {"count": 2}, ("rotation_rejected", "debug")),
        ("rejected_transient", {"error": "transport"}, {"count": 2}, ("rotation_rejected", "debug")),
        ("rejected_transient", PERMANENT, {}, ("failing", "warning")),
        ("rejected_malformed", None, MALFORMED, ("rotation_rejected", "warning")),
        (
            "rejected_malformed",
            MALFORMED,
            MALFORMED | {"count": 2},
            ("rotation_rejected", "debug"),
        ),
        ("rejected_malformed", MALFORMED, MALFORMED | {"count": 3}, ("failing", "error")),
        (
            "rejected_malformed",
            MALFORMED,
            MALFORMED | {"count": 4},
            ("rotation_rejected", "debug"),
        ),
        ("rejected_permanent", None, PERMANENT, ("latched", "error")),
        ("rejected_permanent", PERMANENT, PERMANENT, ("rotation_rejected", "debug")),
        ("rejected_permanent", PERMANENT | {"credential": "c0"}, PERMANENT, ("latched", "error")),
        ("rejected_permanent", PERMANENT | {"error": "invalid_grant"}, PERMANENT, ("latched", "error")),
        ("store_failed", None, STORE, ("store_failed", "error")),
        ("store_failed", STORE, STORE, ("store_failed", "debug")),
        ("store_failed", STORE | {"error": "cas"}, STORE, ("store_failed", "error")),
    ],
)
def test_a_failure_is_loud_when_it_is_news(name, before, after, told):
    earlier = None if before is None else trouble(**before)
    (event,) = tell_failed(an_outcome(name, error="e"), earlier, trouble(**after), {"provider": "oauth2"})
    assert (event.name, event.level) == told
    assert event.fields["failures"] == after.get("count", 1)
    assert event.fields["provider"] == "oauth2"


def test_an_outage_is_whispered_by_each_job():
    ended = an_outcome("store_failed", error="sealed", store_down=True)
    assert tell_failed(ended, None, trouble(kind="outage"), {})[0].level == "debug"


def raised(deep: int) -> ValueError:
    try:
        raised_at(deep)
    except ValueError as error:
        return error
    raise AssertionError


def raised_at(deep: int) -> None:
    if deep:
        raised_at(deep - 1)
    raise ValueError("a secret text")


def test_a_bug_is_told_by_its_type_and_the_innermost_place():
    error = raised(3)
    event = tell_crashed("crm", error, trouble(kind="internal", error="ValueError"))
    assert (event.name, event.level, event.fields["type"]) == ("failing", "error", "ValueError")
    assert event.fields["where"] == f"test_outcome.py:{raised_at.__code__.co_firstlineno + 3}"
    assert "secret" not in str(event)
    assert tell_crashed("crm", error, trouble(kind="internal", count=2)).level == "debug"
    assert tell_crashed("crm", ValueError(), trouble(kind="internal")).fields["where"] == ""


def test_alerts_name_the_path_and_what_to_do():
    job: Job = a_job(destinations=(PLACE, OTHER))
    early = outcome.deleted_early(a_job(), PLACE, NOW)
    assert (early.level, early.fields["path"], early.fields["deletion_time"]) == (
        "error",
        "secret/tokens/crm",
        "2026-11-21T10:00:00Z",
    )
    assert outcome.unmanaged(job).fields["path"] == ("secret/tokens/crm", "eu:kv/tokens/crm")
    assert "adopt" in outcome.unmanaged(a_job()).fields["why"]
    change = outcome.foreign_change("crm", PLACE, a_token_held(expires_at=None, version=9))
    assert dict(change.fields) == {"path": "secret/tokens/crm", "version": 9}


@pytest.mark.parametrize(("count", "level"), [(1, "debug"), (2, "debug"), (3, "error"), (4, "debug")])
def test_writes_that_may_have_been_made_are_told_once_at_the_third_in_a_row(count, level):
    ended = an_outcome("store_failed", error="deadline", store_unsure=True)
    (event,) = tell_failed(ended, None, trouble(kind="store", error="deadline", count=count), {})
    assert (event.name, event.level) == ("store_failed", level)
