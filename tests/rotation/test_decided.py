"""What was decided stands while the facts are the same, and no longer."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.charge import Charge
from refresher.core import policy
from refresher.core.job import Margin
from refresher.core.model import Location
from refresher.core.orders import Orders
from refresher.core.published import StateRecord
from refresher.core.secret import Secret
from refresher.decided import Decided, facts_of
from tests.core.builders import NOW, PLACE, a_job, a_token_held

MINUTE = timedelta(minutes=1)
TROUBLE = policy.Trouble(kind="transient", error="e", count=1, since=NOW, retry_at=NOW + 55 * MINUTE)
STRANGE = replace(a_token_held(), ours=False)
# Another value of each field of a charge that is a fact; a field that is none keeps its own.
OTHERS = {
    "job": a_job(name="another"),
    "held": (a_token_held(2 * MINUTE),),
    "behind": {PLACE: replace(TROUBLE, kind="outage")},
    "known_ours": (PLACE,),
    "record": StateRecord(version=1, refresh_token=Secret("RT"), updated_at=NOW),
    "latch": replace(TROUBLE, kind="permanent"),
    "trouble": TROUBLE,
    "fetched_at": NOW + 50 * MINUTE,
    "unchanged": True,
    "changed": True,
    "hint": NOW + MINUTE,
    "scheduled": NOW + MINUTE,
    "unknown": True,
    "leased_until": NOW + 5 * MINUTE,
    "replay_until": NOW + 5 * MINUTE,
    "orders": Orders(released=True),
    "vetoed_until": NOW + 50 * MINUTE,
}
NONE = {  # of any value: no fact
    "versions": (9,),
    "blind": True,
    "reckoned": NOW + MINUTE,
    "reckoned_at": 1.0,
    "seen": "x",
    "refused": "x",
    "refresh_life": (NOW, NOW + MINUTE),
    "perishables": (object(),),
    "unwritten": object(),
    "owed": object(),
    "away": frozenset({"x"}),
    "shut": ("x",),
    "theirs": (object(),),
    "shadowed": frozenset({"x"}),
    "tried": "taken",
    "unkept": Secret("RT"),
    "intent": object(),
    "settled": "x",
    "recalled": True,
    "slot": "reserved",
    "journalled": True,
    "told": "x",
    "watched": ("x", NOW),
    "newest": object(),
    "went_back": True,
    "attempts": 3,
    "attempted": object(),
    "last": object(),
    "last_at": NOW,
    "node": "host-2",
    "carried": True,
    "former": object(),
    "leaving": True,
    "warned": "expired",
    "decided": (1,),
}


def charge(**changes) -> Charge:
    return Charge(**{"job": a_job(), "held": (STRANGE,), "versions": (3,)} | changes)


def test_each_field_of_a_charge_is_a_fact_or_none():
    """A new field has to be put to one side or the other: a fact that was forgotten would lose a wake-up."""
    assert {field.name for field in fields(Charge)} == {*OTHERS, *NONE}
    for name, value in NONE.items():
        assert charge(**{name: value}).facts(NOW, "h") == charge().facts(NOW, "h"), name
    for name, value in OTHERS.items():
        assert charge(**{name: value}).facts(NOW, "h") != charge().facts(NOW, "h"), name
        assert facts_of(charge(**{name: value})) != facts_of(charge()), name


@pytest.mark.parametrize("name", OTHERS)
def test_another_fact_is_decided_afresh(name):
    one = charge(held=(a_token_held(),))
    decided = Decided("h")
    decided.verdict(one, NOW, force=False)
    setattr(one, name, OTHERS[name])
    assert decided.verdict(one, NOW, force=False) == policy.decide(one.facts(NOW, "h"))


@given(
    st.lists(st.one_of(st.sampled_from(sorted(OTHERS)), st.integers(-30, 100), st.just("force")), max_size=12),
    st.sampled_from([MINUTE, 60 * MINUTE]),
)
def test_it_says_what_the_policy_says_whatever_happens_in_between(story, lifetime):
    """Facts change, time goes on or back, somebody forces."""
    one, decided, now = charge(held=(a_token_held(lifetime),)), Decided("h"), NOW
    for step in story:
        force = step == "force"
        if isinstance(step, int):
            now += step * MINUTE
        elif not force and step != "job":
            setattr(one, step, OTHERS[step])
        for moment in (now, now, now + 7 * MINUTE):
            assert decided.verdict(one, moment, force=force) == policy.decide(one.facts(moment, "h", force=force))


MARGINS = st.one_of(st.none(), st.integers(1, 10**6).map(lambda s: Margin(duration=timedelta(seconds=s))))


@given(st.integers(6, 10**6), MARGINS, st.floats(0, 1.1), st.floats(0, 1.1), st.sampled_from([None, *OTHERS]))
def test_a_job_that_rests_keeps_its_promise_meanwhile(seconds, margin, age, fetched, other):
    """So the sweep may pass over it: it is neither due nor in any trouble, and readers find what they were promised."""
    lifetime = timedelta(seconds=seconds)
    held, now = a_token_held(lifetime), NOW + lifetime * age
    one = charge(job=a_job(renew_before=margin), held=(held,), fetched_at=NOW + lifetime * min(age, fetched))
    decided = Decided("h")
    decided.verdict(one, now, force=False)
    if other is not None and other != "job":
        setattr(one, other, OTHERS[other])
    until = decided.rests_until(one, now)
    if until is not None:
        assert policy.decide(one.facts(now, "h")) == policy.Wait(until=until, reason="due")
        assert held.expires_at - now > policy.promised(held, one.job)
        assert one.holding is None


def test_who_waits_for_long_rests_and_who_is_about_to_be_due_does_not():
    one, decided = charge(held=(a_token_held(),)), Decided("h")
    assert decided.rests_until(one, NOW) is None, "it was never decided"
    due = decided.verdict(one, NOW, force=False).until
    assert decided.rests_until(one, NOW) == due
    assert decided.rests_until(one, due - MINUTE) is None
    assert decided.rests_until(one, NOW - MINUTE) is None, "the clock went back"


def test_a_wait_is_decided_once(monkeypatch):
    asked = []
    decide = policy.decide
    monkeypatch.setattr(policy, "decide", lambda facts: (asked.append(facts.now), decide(facts))[1])
    one, decided = charge(held=(a_token_held(),)), Decided("h")
    waits = [decided.verdict(one, NOW + minute * MINUTE, force=False) for minute in range(30)]
    assert len(asked) == 1
    assert len({id(wait) for wait in waits}) == 1
    due = waits[0].until
    assert decided.verdict(one, due, force=False) == policy.Rotate(reason="due")


def test_another_place_is_another_job():
    one = charge(held=(a_token_held(),))
    other = charge(held=(a_token_held(),), job=a_job(destinations=(Location(mount="secret", path="b"),)))
    assert facts_of(one) != facts_of(other)
