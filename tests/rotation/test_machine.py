"""Whatever Vault, providers, strangers, people and kills do: no refresh token is lost or sent twice, no job falls out.

Hypothesis draws the story, virtual time tells it, and after each step the invariants of the design are looked at.
"""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from refresher.core.errors import StoreAmbiguousError, StoreConflictError, StoreRefusedError, StoreUnavailableError
from refresher.core.settings import Limits
from refresher.watch import SWEEP
from tests.fakes.http import answer, lost
from tests.fakes.ledger import FakeLedger
from tests.fakes.mortal import Life, Mortal
from tests.rotation.house import MINUTE, SECOND, House, job, path_of, refreshing, state_of

NAMES = ("semansys", "crm", "smart", "eagle")
REFRESHING = ("semansys", "crm")
STRANGE = {"access_token": "STRANGE"}
FLOOR = 2  # seconds between two successes, at the very least

WAITS = st.sampled_from([1, 3, 10, 31, 61, 200, 610]).map(lambda seconds: timedelta(seconds=seconds))
WHO = st.sampled_from(NAMES)
STORE_ERRORS = st.sampled_from(
    [
        StoreUnavailableError("sealed", "Vault is sealed", status=503),
        StoreAmbiguousError("deadline", "no whole reply"),
        StoreRefusedError("denied", "the policy denies it", status=403),
        StoreConflictError("cas", "somebody wrote in between", status=400),
        ZeroDivisionError("a bug"),
    ]
)
REFUSALS = st.sampled_from(
    [
        answer(503),
        answer(429, retry_after="120"),
        answer(400, {"error": "invalid_grant"}),
        answer(401, {"error": "invalid_client"}),
        answer(200, b"<html>"),
        lost(sent=False),
    ]
)


def jobs(*, scope: tuple[str, ...] = ()):
    return [
        refreshing("semansys", "a", scope=scope),
        refreshing("crm", "b", scope=scope),
        job("smart", "a", scope=scope),
        job("eagle", "c", scope=scope),
    ]


class Machine(RuleBasedStateMachine):
    """A daemon with four jobs: two with single-use refresh tokens, one plain, one that gets a refresh token in vain."""

    @initialize(latency=st.sampled_from([0, 0.05, 4]), lifetime=st.sampled_from([60, 100, 900]))
    def open(self, latency, lifetime):
        self.runner = asyncio.Runner()
        self.house = House(*jobs(), limits=Limits(per_host=2, total=4), lifetime=lifetime, drift=5 * MINUTE)
        self.house.provider.refreshes = True
        self.house.store.latency = timedelta(seconds=latency)
        self.house.provider.latency = timedelta(seconds=latency)
        self.house.store.before = self.before
        self.house.provider.refuse = self.refuse
        self.faults, self.refusals, self.strangers = [], [], []
        self.excuses = self.lost = 0
        self.lifetime, self.latency = lifetime, latency
        self.journal, self.ledger = self.house.journal, FakeLedger()
        self.forgiven, self.unreported, self.told = set(), set(), []
        self.begin()

    def begin(self):
        """A process begins: its ports are of no use to anybody once it is killed."""
        house = self.house
        self.life = Life(self.last_moment)
        house.stores = {"": Mortal(house.store, self.life)}
        house.http = Mortal(house.provider, self.life)
        house.journal, house.ledger = Mortal(self.journal, self.life), Mortal(self.ledger, self.life)
        self.began = house.clock.monotonic()
        self.serving = house.serving()
        self.runner.run(self.serving.__aenter__())

    def last_moment(self):
        """Note who was walked when the process was killed, and return its tasks."""
        self.walked = {name for name in REFRESHING if name in self.house.roster._walks}
        return self.house.tasks

    def bury(self):
        """Put the killed process away, and note what nobody can know any more."""
        for name in REFRESHING:
            record = self.house.store.stands(state_of(name)) or {}
            newest = self.house.provider.clients[name].delivered
            lost_before = newest in {None, *self.forgiven}  # by an earlier kill, and nothing was granted since
            if not lost_before and not any(newest in text for text in self.stands(name)):
                assert name in self.walked, f"{name}: {newest} was nowhere before the kill"
                self.forgiven.add(newest)
            if record.get("phase") == "spending" and self.journal.next.get(name) is None:
                self.unreported.add(name)
        self.runner.run(self.serving.__aexit__(None, None, None))
        self.told += self.house.sink.events
        self.journal.released()
        self.house = self.house.heir()

    def before(self, deed, place):
        if self.strangers and deed == "write" and place.path == self.strangers[0]:
            self.house.store.put(place, STRANGE if "tokens" in self.strangers.pop(0) else {"generation": "9"})
        if self.faults and deed == self.faults[0][0]:
            _, error = self.faults.pop(0)
            raise error

    def refuse(self, _asked):
        return self.refusals.pop(0) if self.refusals else None

    def pass_(self, span: timedelta):
        self.runner.run(self.house.clock.advance(span))
        if self.life.dead:
            self.bury()
            self.begin()

    @rule(steps=st.integers(0, 60))
    def somebody_kills_it(self, steps):
        """At once, or so many outward steps later; it is started again when the wait is over."""
        if steps:
            self.life.left = steps
        else:
            self.life.end()
            self.pass_(timedelta())
        self.excuses += 2 * len(NAMES)

    @rule(span=WAITS)
    def wait(self, span):
        self.pass_(span)

    @rule(deed=st.sampled_from(["read", "write", "prove"]), error=STORE_ERRORS, count=st.integers(1, 4))
    def vault_fails(self, deed, error, count):
        self.faults += [(deed, error)] * count

    @rule(count=st.integers(1, 3))
    def vault_loses_answers(self, count):
        self.house.store.lose_answers += count

    @rule(away=st.booleans())
    def vault_goes_or_comes(self, away):
        self.house.store.away = away

    @rule(refusal=REFUSALS, count=st.integers(1, 3))
    def provider_refuses(self, refusal, count):
        self.refusals += [refusal] * count

    @rule()
    def provider_loses_an_answer(self):
        self.house.provider.lose_answers += 1
        self.lost += 1

    @rule(name=WHO)
    def host_hangs_or_answers(self, name):
        host = f"{'a' if name in ('semansys', 'smart') else 'b'}.example.com"
        self.house.provider.hanging ^= {host}

    @rule(name=WHO)
    def stranger_writes(self, name):
        self.house.store.put(path_of(name), STRANGE)
        self.excuses += 1

    @rule(name=WHO, place=st.sampled_from([path_of, state_of]))
    def stranger_writes_in_between(self, name, place):
        self.strangers.append(place(name).path)
        self.unreported.discard(name)  # he may write over the intent
        self.excuses += 1

    @rule(name=WHO)
    def somebody_deletes(self, name):
        self.house.store.delete(path_of(name)) if self.house.token(name) else None
        self.excuses += 1

    @rule(name=WHO)
    def somebody_forces(self, name):
        self.house.roster.offer(name, force=True)
        self.excuses += 1

    @rule(leaving=st.sets(WHO), scope=st.sampled_from([(), ("wide",)]))
    def somebody_reloads(self, leaving, scope):
        self.house.update(*[one for one in jobs(scope=scope) if one.name not in leaving])
        self.excuses += len(NAMES)

    @rule(seconds=st.sampled_from([-3600, -7, 7, 3600]))
    def clock_leaps(self, seconds):
        self.house.clock.jump(timedelta(seconds=seconds))
        self.excuses += 2 * len(NAMES)

    @rule(text=st.sampled_from(["another", "client-secret"]))
    def somebody_changes_the_secret(self, text):
        self.house.references.texts = dict.fromkeys(self.house.references.texts, text)
        self.excuses += len(NAMES)

    @rule(deaf=st.booleans())
    def bell_falls_silent_or_rings(self, deaf):
        self.house.scheduler.deaf = deaf

    @precondition(lambda self: not self.house.store.away)
    @rule()
    def all_is_well_for_a_while(self):
        """Without faults every job that needs nobody is served, and stays so."""
        self.faults.clear()
        self.refusals.clear()
        self.strangers.clear()
        self.house.store.lose_answers = self.house.provider.lose_answers = 0
        self.house.provider.hanging = set()
        self.house.scheduler.deaf = False
        self.life.left = -1
        self.pass_(12 * MINUTE)
        self.every_grant_that_is_unknown_was_told()
        for name, charge in self.house.roster.charges.items():
            if charge.latch is None:  # else a person must act, and it is tried now and then
                assert self.house.state(name) in ("fresh", "due", "unmanaged"), (name, charge.trouble)
            if self.house.state(name) == "fresh" and self.latency < 1:
                assert self.house.token(name) in self.house.provider.issued
                assert self.house.provider.issued[self.house.token(name)] > self.house.clock.now() - SECOND

    def every_grant_that_is_unknown_was_told(self):
        """A kill between request and journal is reported for each job that is still looked after."""
        told = {one.job for one in (*self.told, *self.house.sink.events) if one.name == "grant_unknown"}
        assert self.unreported & self.house.roster.charges.keys() <= told
        self.unreported.clear()

    def stands(self, name):
        """Where refresh tokens of a job outlive a process: its state record and the journal."""
        yield (self.house.store.stands(state_of(name)) or {}).get("refresh_token", "")
        yield from (
            entry[0] for entry in (self.journal.next.get(name), self.journal.last.get(name)) if entry is not None
        )

    def kept(self, name):
        """Where refresh tokens of a job stand: there, and in our hands."""
        yield from self.stands(name)
        charge = self.house.roster.charges.get(name)
        yield charge.unkept.reveal() if charge is not None and charge.unkept is not None else ""

    @invariant()
    def no_refresh_token_is_lost(self):
        """The newest whose answer arrived is kept, unless the walk that got it is still under way, or was killed."""
        for name in REFRESHING:
            newest = self.house.provider.clients[name].delivered
            if newest not in {None, *self.forgiven} and name not in self.house.roster._walks:
                assert any(newest in text for text in self.kept(name)), f"{name}: {newest} is nowhere"

    @invariant()
    def no_job_is_walked_twice_at_once(self):
        assert not self.house.provider.twice_at_once

    @invariant()
    def no_spent_refresh_token_is_sent_again(self):
        """Unless the answer that brought its successor was lost: then nobody knows."""
        assert len(self.house.provider.replayed) <= self.lost

    @invariant()
    def readers_find_what_was_issued(self):
        for name in NAMES:
            token = self.house.token(name)
            assert token in (None, "STRANGE") or token in self.house.provider.issued
            found = self.house.store.stands(path_of(name)) or {}
            assert "refresh_token" not in found

    @invariant()
    def no_provider_is_flooded(self):
        hours = self.house.clock.monotonic() / 3600
        granted = sum(client.serial for client in self.house.provider.clients.values())
        usual = len(NAMES) * (hours * 3600 / (self.lifetime / 2) + 2)
        assert granted <= usual + self.excuses * 2 + self.lost * 2 + 8 * hours

    @invariant()
    def no_job_falls_out_of_every_list(self):
        """Where the bell is silent or the clock has leapt, the next sweep finds it."""
        try:
            self.house.check()
        except AssertionError:
            steps = (self.house.clock.monotonic() - self.began) // SWEEP.total_seconds() + 1
            sweep = self.began + steps * SWEEP.total_seconds()
            self.pass_(timedelta(seconds=sweep - self.house.clock.monotonic()))
            self.house.check()

    @invariant()
    def limits_hold(self):
        assert self.house.provider.most_in_all <= 4
        assert max(self.house.provider.most.values(), default=0) <= 2

    def teardown(self):
        if not hasattr(self, "house"):
            return
        self.faults.clear()
        self.strangers.clear()
        self.house.store.away, self.house.store.lose_answers = False, 0
        self.life.left = -1
        self.runner.run(self.serving.__aexit__(None, None, None))
        self.runner.close()
        for name in REFRESHING:
            newest = self.house.provider.clients[name].delivered
            if newest not in {None, *self.forgiven}:
                assert any(newest in text for text in self.kept(name)), "written before the end"
        self.no_spent_refresh_token_is_sent_again()
        self.no_job_is_walked_twice_at_once()


USUAL = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate],  # to shrink a story takes hours; it is told as it was found
)


class TestMachine(Machine.TestCase):
    settings = settings(USUAL, max_examples=12, stateful_step_count=30)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
class TestMachineAllNight(Machine.TestCase):
    settings = settings(USUAL, max_examples=700, stateful_step_count=60)
