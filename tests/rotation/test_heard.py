"""What one node of a fleet tells of a job, and what another makes of it."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from refresher import memory
from refresher.charge import Charge
from refresher.core import policy, remembered
from refresher.core.facts import Held, Trouble
from refresher.core.orders import Orders
from refresher.core.outcome import Outcome
from refresher.core.remembered import Attempted, Remembered, Stands
from refresher.state.shared import SharedLedger
from tests.core.builders import NOW, a_job
from tests.fakes.ledger import FakeLedger
from tests.rotation.house import House, job

HOUR = timedelta(hours=1)
SEED = "fleet"
JOB = a_job()
PLACE = JOB.destinations[0]


def token(version: int | None, issued_at: datetime = NOW) -> Held:
    return Held(version=version, issued_at=issued_at, expires_at=issued_at + HOUR)


def charge_of(held: Held | None, **more) -> Charge:
    return Charge(job=JOB, held=(held,), versions=(None if held is None else held.version,), **more)


def told(charge: Charge, **more) -> Remembered:
    """Return what another node keeps of its charge, by way of PostgreSQL."""
    kept = memory.to_keep(replace(charge, attempted=Attempted(at=NOW, outcome="rotated", error=None)), shared=True)
    read = remembered.read(remembered.written(replace(kept, **more)))
    assert read == replace(kept, **more), "nothing is lost on the way"
    return read


def test_the_newer_token_is_taken_over_and_both_mean_the_same_moment_by_its_due_time():
    there = charge_of(token(8, NOW + HOUR / 2), hint=NOW + timedelta(minutes=50))
    here = charge_of(token(7), warned="expiring", unknown=True, leased_until=NOW)
    here.last = Outcome(job=JOB.name, outcome="fresh", reason="due", renew_at=NOW)
    memory.hear(here, told(there), SEED)
    assert (here.held, here.versions, here.hint) == (there.held, (8,), there.hint)
    assert (here.warned, here.unknown, here.leased_until) == ("", False, None)
    assert here.attempted == Attempted(at=NOW, outcome="rotated", error=None)
    moment = NOW + timedelta(minutes=1)
    assert policy.renew_at(here.facts(moment, SEED)) == policy.renew_at(there.facts(moment, SEED))
    assert here.last.renew_at == policy.renew_at(there.facts(NOW, SEED))


@pytest.mark.parametrize(
    ("ours", "theirs", "taken"),
    [
        (token(7), token(8), True),
        (token(8), token(7, NOW + HOUR), False),
        (token(8), token(8, NOW + HOUR), False),
        (None, token(1), True),
        (token(3), None, False),
        (token(None), token(None, NOW + HOUR), True),
        (token(None, NOW + HOUR), token(None), False),
        (replace(token(None), issued_at=None), token(None), False),
    ],
)
def test_what_we_have_read_ourselves_stays_where_it_is_newer(ours, theirs, taken):
    here = charge_of(ours)
    memory.hear(here, told(charge_of(theirs)), SEED)
    assert here.held == ((theirs if taken else ours),)


def test_a_job_of_other_paths_says_nothing_of_ours():
    here = charge_of(token(7))
    memory.hear(here, told(charge_of(token(7)), stands=Stands(held={"secret/elsewhere": token(9)})), SEED)
    assert here.held == (token(7),)


def test_a_latch_and_a_pause_are_taken_over():
    latch = Trouble(kind="permanent", error="invalid_client", count=3, since=NOW, retry_at=None)
    orders = Orders(paused_until=NOW + HOUR)
    here = charge_of(token(7))
    memory.hear(here, told(charge_of(token(7), latch=latch, orders=orders)), SEED)
    assert (here.latch, here.orders) == (latch, orders)


def test_a_vault_that_is_away_for_another_node_is_not_away_for_us():
    trouble = Trouble(kind="outage", error="sealed", count=1, since=NOW, retry_at=NOW + HOUR)
    here = charge_of(token(7))
    memory.hear(here, told(charge_of(token(7), behind={PLACE: trouble})), SEED)
    assert here.behind == {PLACE: replace(trouble, kind="store")}


def test_one_machine_tells_nobody_what_stands():
    assert memory.to_keep(charge_of(token(7))).stands is None
    assert memory.to_keep(Charge(job=JOB), shared=True).stands is None, "nobody has looked"


@pytest.mark.parametrize("orders", [Orders(), Orders(paused_until=NOW, released=True, asked_at=NOW - HOUR)])
def test_orders_survive_the_way(orders):
    assert remembered.orders_in(remembered.written_orders(orders)) == orders


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"paused_until":1,"released":true,"asked_at":null}', "[" * 9999])
def test_what_is_no_order_is_none(text):
    assert remembered.orders_in(text) is None


@pytest.mark.parametrize("stands", [1, {}, {"held": {"a": {"version": "x"}}, "behind": {}}, {"held": [], "behind": {}}])
def test_what_is_no_token_spoils_nothing(stands):
    whole = json.loads(remembered.written(told(charge_of(token(7)))))
    assert remembered.read(json.dumps(whole | {"stands": stands})) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [(Orders(), Orders(paused_until=NOW + 24 * HOUR)), (Orders(paused_until=NOW + 24 * HOUR), Orders())],
)
async def test_what_a_person_decided_on_another_node_stands_while_postgresql_is_away(before, after):
    house, local = House(job("crm")), FakeLedger()
    house.scheduler.shared = True
    house.scheduler.ours = lambda _name, *, urgent=False: False  # noqa: ARG005  # in nobody's hands here
    house.ledger = SharedLedger(local, "refresher", "this-node", house.clock)
    attempted = Attempted(at=NOW - HOUR, outcome="rotated", error=None)
    local.keep("crm", Remembered(attempted=attempted, orders=before))  # an hour ago, here
    roster = house.build()
    assert roster.charges["crm"].orders == before, "the local ledger is for the start"
    roster.hear("crm", Remembered(attempted=attempted, orders=after), "host-2", own=False)
    roster.renew("crm")  # this node's own bell rings, and nobody can be asked
    assert roster.charges["crm"].orders == after
