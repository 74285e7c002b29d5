from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import due, policy
from refresher.core.job import Margin, Times
from refresher.core.policy import Halt, Rotate, Trouble, Wait, decide
from tests.core.builders import NOW, a_job, a_token_held, facts_of

LIFETIMES = st.integers(6, 400 * 86_400).map(lambda s: timedelta(seconds=s))
MARGINS = st.one_of(
    st.none(),
    st.integers(1, 10**7).map(lambda s: Margin(duration=timedelta(seconds=s))),
    st.floats(0.01, 0.99).map(lambda f: Margin(share=f)),
)
NAMES = st.text("abcdefghij-", min_size=1, max_size=12)
AGES = st.floats(0, 2)


def trouble(**changes) -> Trouble:
    return Trouble(**{"kind": "transient", "error": "e", "count": 1, "since": NOW, "retry_at": NOW} | changes)


@given(LIFETIMES, MARGINS, NAMES, st.integers(0, 10**6))
def test_due_lies_between_half_of_the_life_and_its_end(lifetime, margin, holder, version):
    held = a_token_held(lifetime, version=version)
    facts = facts_of(held, holder=holder, job=a_job(renew_before=margin))

    at = policy.renew_at(facts)

    assert NOW + lifetime / 2 <= at < held.expires_at
    promise = policy.promised(held, facts.job)
    assert at <= held.expires_at - promise, "readers find the promised life at every moment before the rotation"


@given(
    LIFETIMES,
    MARGINS,
    AGES,
    AGES,
    st.booleans(),
    st.sampled_from([None, -60, 0, 5, 700]),
    st.sampled_from(["due", None]),
)
def test_told_to_wait_until_t_the_answer_at_t_is_to_rotate(lifetime, margin, age, fetched, unchanged, retry, forced):
    facts = facts_of(
        a_token_held(lifetime),
        now=NOW + lifetime * age,
        job=a_job(renew_before=margin),
        fetched_at=NOW + lifetime * min(age, fetched),
        unchanged=unchanged,
        trouble=None if retry is None else trouble(retry_at=NOW + lifetime * age + timedelta(seconds=retry)),
        forced=forced is not None and unchanged,
    )

    verdict = decide(facts)

    assert verdict == decide(facts), "the same facts, the same decision"
    if isinstance(verdict, Wait):
        assert verdict.until > facts.now
        assert isinstance(decide(replace(facts, now=verdict.until)), Rotate)
        assert isinstance(decide(replace(facts, now=verdict.until - timedelta(microseconds=1))), Wait)
    else:
        assert isinstance(decide(replace(facts, now=facts.now + lifetime)), Rotate), "once due, due until written"


def test_the_order_of_the_rules():
    assert [rule.__name__ for rule in policy.HALTS] == ["released", "paused", "unmanaged", "latched"]
    assert [rule.__name__ for rule in policy.NEEDS] == ["unknown", "forced", "missing", "foreign", "repeated", "timely"]
    sources = ["expiring", "hinted", "aged", "scheduled", "kept_alive", "doomed"]
    assert [source.__name__ for source in policy.SOURCES] == sources


STRANGE = a_token_held(ours=False)
FAR = timedelta(days=9)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (facts_of(None), Rotate(reason="missing")),
        (facts_of(None, trouble=trouble(retry_at=NOW + FAR)), Wait(until=NOW + FAR, reason="backoff")),
        (facts_of(a_token_held(), None), Rotate(reason="missing")),
        (facts_of(a_token_held(), forced=True), Rotate(reason="forced")),
        (facts_of(a_token_held(), now=NOW + FAR), Rotate(reason="due")),
        (facts_of(a_token_held(), now=NOW + FAR, trouble=trouble(retry_at=None)), Halt(reason="latched")),
        (facts_of(STRANGE), Halt(reason="unmanaged")),
        (facts_of(STRANGE, forced=True), Halt(reason="unmanaged")),
        (facts_of(STRANGE, known_ours=True, now=NOW + FAR), Rotate(reason="due")),
        (facts_of(STRANGE, job=a_job(adopt=True), now=NOW + FAR), Rotate(reason="due")),
        (facts_of(replace(STRANGE, expires_at=None), known_ours=True), Rotate(reason="foreign")),
        (facts_of(a_token_held(expires_at=None)), Wait(until=None, reason="no_expiry")),
    ],
)
def test_rules(facts, verdict):
    assert decide(facts) == verdict


def test_a_strangers_token_that_states_only_its_end_is_honoured_until_shortly_before_it():
    held = a_token_held(ours=False, issued_at=NOW)
    facts = facts_of(replace(held, issued_at=None), known_ours=True)
    assert decide(facts) == Wait(until=held.expires_at - due.STRANGER_LEAD, reason="due")


def test_a_server_that_repeats_its_token_is_asked_every_two_seconds_from_five_before_its_end():
    held = a_token_held(timedelta(minutes=1))
    early = facts_of(held, unchanged=True, fetched_at=NOW)
    late = replace(early, now=held.expires_at, fetched_at=held.expires_at - timedelta(seconds=1))
    assert decide(early) == Wait(until=held.expires_at - timedelta(seconds=5), reason="unchanged")
    assert decide(late) == Wait(until=held.expires_at + timedelta(seconds=1), reason="unchanged")


def test_two_fetches_that_succeeded_lie_a_floor_apart():
    dead = a_token_held(timedelta(hours=1), issued_at=NOW - FAR)
    assert decide(facts_of(dead, fetched_at=NOW)) == Wait(until=NOW + due.FLOOR, reason="due")
    short = a_token_held(timedelta(seconds=3), issued_at=NOW - FAR)
    assert decide(facts_of(short, fetched_at=NOW)) == Wait(until=NOW + timedelta(seconds=2), reason="due")


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_two_daemons_do_not_fire_in_the_same_instant(holders):
    one, other = (policy.renew_at(facts_of(a_token_held(), holder=holder)) for holder in holders)
    assert one != other


def test_the_promise_is_renew_before_cut_to_a_quarter_of_the_life():
    hour = timedelta(hours=1)
    assert due.promised(hour, None) == timedelta(minutes=10)
    assert due.promised(hour * 24 * 7, None) == hour * 24 * 7 * 0.05
    assert due.promised(hour, Margin(duration=timedelta(minutes=5))) == timedelta(minutes=5)
    assert due.promised(hour, Margin(share=0.1)) == timedelta(minutes=6)
    assert due.promised(hour, Margin(share=0.9)) == timedelta(minutes=15)
    assert policy.promised(a_token_held(timedelta(seconds=5)), a_job()) is None, "outside the promise"
    assert policy.promised(a_token_held(expires_at=None), a_job()) is None


@pytest.mark.fault("F33")
def test_equal_tokens_of_many_jobs_are_spread():
    ats = [policy.renew_at(facts_of(a_token_held(), job=a_job(name=f"job-{n}"))) for n in range(500)]
    assert max(ats) - min(ats) > timedelta(minutes=5, seconds=50)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("facts", "at", "reason"),
    [
        (facts_of(a_token_held(HOUR * 24), hint=NOW + HOUR), NOW + HOUR, "hint"),
        (facts_of(a_token_held(HOUR * 24), job=a_job(times=Times(max_age=HOUR * 2))), NOW + HOUR * 2, "max_age"),
        (facts_of(a_token_held(HOUR * 24), scheduled=NOW + HOUR * 3), NOW + HOUR * 3, "schedule"),
        (facts_of(a_token_held(expires_at=None), scheduled=NOW + HOUR * 3), NOW + HOUR * 3, "schedule"),
        (facts_of(a_token_held(expires_at=None), job=a_job(times=Times(max_age=HOUR))), NOW + HOUR, "max_age"),
        (
            facts_of(a_token_held(HOUR * 24), job=a_job(times=Times(refresh_every=HOUR)), kept_at=NOW - HOUR / 2),
            NOW + HOUR / 2,
            "keep_alive",
        ),
        (facts_of(a_token_held(HOUR * 24), kept_at=NOW - HOUR, record_ends=NOW + HOUR * 3), NOW + HOUR, "doomed"),
        (facts_of(a_token_held(HOUR * 24), hint=NOW + HOUR, scheduled=NOW + HOUR * 3), NOW + HOUR, "hint"),
    ],
)
def test_what_else_makes_a_rotation_due(facts, at, reason):
    assert decide(facts) == Wait(until=at, reason=reason)
    assert decide(replace(facts, now=at)) == Rotate(reason=reason)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(1, 100))
def test_no_source_makes_a_hot_loop(age, every, hint):
    """However often a source says now, two fetches that succeeded lie a floor apart."""
    job = a_job(times=Times(max_age=timedelta(seconds=every), refresh_every=timedelta(seconds=every)))
    fetched = NOW + timedelta(seconds=age)
    facts = facts_of(
        a_token_held(), job=job, now=fetched, fetched_at=fetched, hint=NOW + timedelta(seconds=hint), kept_at=NOW
    )
    assert policy.renew_at(facts) >= fetched + due.FLOOR


@pytest.mark.parametrize("forced", [False, True])
def test_a_hook_that_wants_no_rotation_puts_it_off_and_no_wait_is_made_shorter_by_it(forced):
    held, until = a_token_held(), NOW + timedelta(minutes=59)
    vetoed = facts_of(held, now=NOW + timedelta(minutes=58), vetoed_until=until, forced=forced)
    assert policy.decide(vetoed) == policy.Wait(until=until, reason="vetoed")
    assert isinstance(policy.decide(replace(vetoed, now=until)), policy.Rotate)
    early = facts_of(held, vetoed_until=NOW + timedelta(minutes=1))
    assert policy.decide(early) == policy.decide(facts_of(held))
