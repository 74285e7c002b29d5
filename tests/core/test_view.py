"""Who needs a person, and in which order a person looks."""

from dataclasses import replace
from datetime import timedelta

import pytest

from refresher.core.view import STATES, FleetView, JobView, worst_first
from tests.core.builders import NOW

MINUTE = timedelta(minutes=1)
WELL = JobView(
    name="crm",
    provider="oauth2",
    state="fresh",
    alive=True,
    issued_at=NOW - 30 * MINUTE,
    expires_at=NOW + 30 * MINUTE,
    renew_at=NOW + 10 * MINUTE,
    promised=10 * MINUTE,
    failures=0,
    kind=None,
    error="",
    status=0,
    since=None,
    due_since=None,
    last=None,
    places=(("secret/tokens/crm", 3),),
)


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({}, ""),
        ({"state": "retrying", "failures": 3}, ""),
        ({"state": "retrying", "failures": 3, "expires_at": NOW + 9 * MINUTE}, "expiring"),
        ({"state": "due", "expires_at": NOW + 9 * MINUTE}, ""),
        ({"state": "latched", "failures": 1, "expires_at": NOW + 9 * MINUTE}, "latched"),
        ({"state": "unmanaged"}, "unmanaged"),
        ({"state": "latched", "expires_at": NOW}, "dead"),
        ({"alive": False, "expires_at": None}, "dead"),
        ({"alive": None, "expires_at": None, "state": "unknown"}, ""),
        ({"promised": None, "failures": 1}, ""),
        ({"expires_at": None, "failures": 1}, ""),
    ],
)
def test_what_a_person_is_needed_for(change, need):
    assert replace(WELL, **change).need(NOW) == need


def test_the_worst_come_first_and_those_that_are_well_stay_where_they_are():
    def one(name, **change):
        return replace(WELL, name=name, **change)

    wanted = [
        one("z", alive=False, expires_at=None),
        one("y", state="unmanaged"),
        one("x", state="latched"),
        one("w", state="retrying", failures=1, expires_at=NOW + MINUTE),
        one("u", state="retrying", failures=1, expires_at=NOW + 20 * MINUTE),
        one("t", state="retrying", failures=1, expires_at=NOW + 25 * MINUTE),
        one("s", state="unknown", alive=None),
        one("r", state="paused"),
        one("a", expires_at=NOW + 50 * MINUTE),
        one("b", state="due", expires_at=NOW + 8 * MINUTE),
        one("c", expires_at=None),
    ]
    assert worst_first(reversed(wanted), NOW) == wanted
    assert {view.state for view in wanted} == set(STATES)


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (FleetView(alive=("a",)), "1 node"),
        (FleetView(alive=("a", "b")), "2 nodes"),
        (FleetView(alive=("a",), gone=("b",)), "1 of 2 nodes: b is gone"),
        (FleetView(gone=("b", "c")), "0 of 2 nodes: b, c are gone"),
        (FleetView(alive=("a", "b"), away=True), "PostgreSQL is away: what other nodes did is not known"),
    ],
)
def test_the_nodes_in_words(fleet, words):
    assert fleet.words == words
