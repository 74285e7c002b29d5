"""What is spent is not lost: a kill at every step of a walk, a second daemon, a Vault that went back."""

from datetime import timedelta

import pytest

from refresher.charge import Charge
from refresher.core.errors import StoreAmbiguousError, StoreUnavailableError
from refresher.core.job import Job
from refresher.memory import recall, to_keep
from tests.core.builders import PLACE, STATE
from tests.fakes.http import lost
from tests.fakes.provider import FakeProvider
from tests.rotation.stage import Stage, refresh_only, refreshing, refused, token

MINE, THEIRS = "holder-1", "holder-2"
KEPT = {"refresh_token": "RT-1", "generation": "3", "updated_at": "2026-11-21T09:00:00Z", "job": "crm"}
INTENT = {"phase": "spending", "nonce": "n", "following": "4"}


class Killed(BaseException):
    """SIGKILL, as far as a walk can tell."""


class Scene(Stage):
    """A stage with a strict provider, on which the process may be killed at each outward step of a walk."""

    def __init__(self, job: Job, **how) -> None:
        super().__init__(job=job, **how)
        self.http = self.provider = FakeProvider(self.clock, refreshes=True)
        self.provider.clients["acme"].valid = "RT-seed"
        self.left = -1  # steps to live; below zero: for ever
        self.store.before = self.store.after = lambda *_: self.step()
        for name in ("reserve", "enter", "keep", "release", "read"):
            setattr(self.journal, name, self.mortal(getattr(self.journal, name)))
        self.rotation = self.rotation_of(self)

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def mortal(self, deed):
        async def around(*words, **more):
            self.step()
            done = await deed(*words, **more)
            self.step()
            return done

        return around

    async def send(self, request):
        self.step()
        answer = await self.provider.send(request)
        self.step()
        return answer

    async def killed_after(self, steps: int) -> bool:
        """Walk, and kill the process at that step; a new one stands there then. False: the walk ended before."""
        self.left = steps
        try:
            await self.rotate(force=True)
        except Killed:
            self.left = -1
            self.journal.released()
            kept = to_keep(self.charge)
            self.rotation, self.charge = self.rotation_of(self), recall(Charge(job=self.charge.job), kept)
            return True
        self.left = -1
        return False

    def newest_is_safe(self) -> bool:
        newest = self.provider.clients["acme"].delivered
        record = (self.stands(STATE) or {}).get("refresh_token")
        entry = self.journal.next.get("crm")
        return newest is None or newest == record or (entry is not None and f'"{newest}"' in entry[0])


@pytest.mark.fault("F1", "F2", "F3", "F4")
@pytest.mark.parametrize("job", [refreshing(client_auth="post"), refresh_only(client_auth="post")], ids=["pw", "rt"])
async def test_a_kill_at_every_step(job):
    steps, killed, unsure, unkept = 0, True, 0, 0
    while killed:
        steps += 1
        scene = Scene(job)
        await scene.rotate()
        assert scene.provider.clients["acme"].serial == 1
        killed = await scene.killed_after(steps)
        safe = scene.newest_is_safe()
        for _ in range(3):
            await scene.later(seconds=40)
        told = len(scene.sink.named("grant_unknown"))
        unsure, unkept = unsure + told, unkept + (not safe)
        assert told <= 1, f"step {steps}: told once"
        assert told or safe, f"step {steps}: lost without a word"
        assert scene.provider.replayed == [], f"step {steps}: nothing was sent twice"
        if job.grant == "password" or not told:
            assert scene.newest_is_safe(), f"step {steps}: healed"
            assert scene.stands(STATE)["phase"] == "idle", f"step {steps}"
            assert scene.stands()["access_token"] == f"AT-acme-{scene.provider.clients['acme'].serial}", f"step {steps}"
    assert steps > 20
    assert 1 <= unkept <= 3, "between the answer and its journal entry alone"
    assert unsure <= 6


def spending(job=None, holder=MINE, *steps) -> Stage:
    """Readers hold a token of an hour; the record says that somebody spends the grant."""
    stage = Stage(token(1, refresh_token="RT-1"), *steps, job=job or refresh_only())
    stage.spent = lambda: stage.store.put(STATE, KEPT | INTENT | {"holder": holder})
    return stage


async def test_our_own_intent_without_an_answer_takes_the_full_grant_at_once_and_is_told_once():
    stage = spending(refreshing(), MINE, lost(), token(3, refresh_token="RT-3"), token(4, refresh_token="RT-4"))
    await stage.rotate()
    stage.spent()
    stage.restart()
    await stage.rotate()
    await stage.later(minutes=1)
    (told,) = stage.sink.named("grant_unknown")
    assert (told.level, told.fields["path"]) == ("error", "secret/refresher/default/crm")
    assert stage.grants() == ["password", "password", "password"], "never the refresh token"
    await stage.later(minutes=50)
    assert stage.grants()[-1] == "RT-3", "a fresh one is used again"


@pytest.mark.fault("F2")
async def test_an_intent_that_landed_unheard_of_makes_no_unknown_grant_a_known_one():
    """It spent nothing itself: but the one that it replaced may have."""
    stage = spending(refreshing(), MINE, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.spent()
    stage.restart()
    failing = [StoreAmbiguousError("deadline", "no whole reply")]
    stage.store.after = lambda deed, place: raise_one(failing if (deed, place) == ("write", STATE) else [])
    assert (await stage.rotate()).outcome == "store_failed"
    assert stage.stands(STATE)["phase"] == "spending", "it landed"
    assert (await stage.later(minutes=5)).outcome == "rotated"
    assert stage.grants() == ["password", "password"], "never the refresh token"
    assert len(stage.sink.named("grant_unknown")) == 1


@pytest.mark.fault("F9", "F14")
@pytest.mark.parametrize("tries", [1, 2, 5])
async def test_an_intent_that_lands_tries_later_spent_nothing(tries):
    """A leader whose disk is full hands its writes on: they were refused by then, and land with its follower."""
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()
    write, refused = stage.store.write, []

    async def hand_on(place, data, *, cas):
        if place == STATE and len(refused) < tries:
            refused.append(data)
            raise StoreUnavailableError("standby", "a standby node sent us to its leader", status=307)
        return await write(place, data, cas=cas)

    stage.store.write = hand_on
    await stage.later(minutes=50)
    while len(refused) < tries:
        await stage.later(seconds=2)
    stage.store.put(STATE, {name: text.reveal() for name, text in refused[0].items()})
    while (await stage.later(seconds=2)).outcome != "rotated":
        pass
    assert stage.grants() == ["password", "RT-1"], "it is known not to be spent"
    assert stage.sink.named("grant_unknown") == []


def raise_one(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop()


async def test_without_a_full_grant_it_is_sent_again_only_when_readers_would_be_left_with_nothing():
    stage = spending(refresh_only(), MINE, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.spent()
    stage.restart()
    await stage.later(minutes=49)
    assert (await stage.rotation.rotate(stage.charge, force=True)).reason == "grant_unknown"
    assert stage.grants() == ["RT-seed"]
    assert (await stage.later(minutes=2)).outcome == "rotated"
    assert stage.grants() == ["RT-seed", "RT-1"]
    assert len(stage.sink.named("grant_unknown")) == 1


ALLOWED = [{"single_use": False}, {"leeway": timedelta(minutes=10)}]


@pytest.mark.fault("F2")
@pytest.mark.parametrize("words", ALLOWED, ids=["reusable", "leeway"])
async def test_where_the_catalogue_lets_it_come_back_it_is_sent_again_at_once(words):
    stage = spending(refresh_only(**words), MINE, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.spent()
    stage.restart()
    assert (await stage.later(minutes=1)).reason == "grant_unknown"
    assert stage.grants() == ["RT-seed", "RT-1"]
    (told,) = stage.sink.named("grant_unknown")
    assert "at once" in told.fields["why"]


@pytest.mark.parametrize(
    ("age", "following"), [(timedelta(minutes=9, seconds=30), "4"), (timedelta(), "5")], ids=["late", "second"]
)
async def test_a_leeway_runs_from_the_first_use_and_ends(age, following):
    """Of an intent that followed another one that was never answered, nobody knows when the token was first used."""
    stage = spending(refresh_only(leeway=timedelta(minutes=10)), MINE, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.store.put(STATE, KEPT | INTENT | {"holder": MINE, "following": following})
    stage.store.age = age
    stage.restart()
    await stage.later(minutes=1)
    assert stage.grants() == ["RT-seed"]
    assert (await stage.later(minutes=50)).outcome == "rotated"
    (told,) = stage.sink.named("grant_unknown")
    assert "at once" not in told.fields["why"]


@pytest.mark.fault("F44")
async def test_a_lost_answer_is_a_spent_token():
    stage = spending(refreshing(), MINE, lost(), token(2, refresh_token="RT-2"))
    await stage.rotate()
    for _ in range(2):
        await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1", "password"]
    assert len(stage.sink.named("grant_unknown")) == 1


async def test_a_refusal_takes_the_intent_back():
    stage = spending(refreshing(), MINE, refused("x", 503), token(2, refresh_token="RT-2"))
    await stage.rotate()
    await stage.later(minutes=50)
    assert stage.stands(STATE)["phase"] == "idle"
    await stage.later(minutes=1)
    assert stage.grants() == ["password", "RT-1", "RT-1"]
    assert stage.sink.named("grant_unknown") == []


@pytest.mark.fault("F50")
async def test_another_daemons_intent_is_waited_for_and_taken_over_after_the_lease():
    stage = spending(refreshing(), THEIRS, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.spent()
    stage.store.delete(PLACE)
    for seconds in (0, 15, 14):
        assert (await stage.later(seconds=seconds)).reason == "leased"
    assert stage.sink.named("grant_unknown") == []
    assert (await stage.later(seconds=2)).outcome == "rotated"
    assert len(stage.sink.named("grant_unknown")) == 1


@pytest.mark.fault("F51")
@pytest.mark.parametrize(("age", "waits"), [(0, 30), (12, 18), (30, 0), (3600, 0)])
async def test_the_lease_runs_from_when_the_intent_came_to_vault(age, waits):
    stage = spending(refreshing(), THEIRS, token(2, refresh_token="RT-2"))
    await stage.rotate()
    stage.spent()
    stage.store.delete(PLACE)
    stage.store.age = timedelta(seconds=age)
    if waits:
        assert (await stage.rotate()).reason == "leased"
        assert (await stage.later(seconds=waits - 1)).reason == "leased"
    assert (await stage.later(seconds=min(waits, 1))).outcome == "rotated"


async def test_who_was_overtaken_while_frozen_writes_nothing():
    stage = spending(refreshing(), THEIRS)
    other = KEPT | {"refresh_token": "RT-9", "generation": "9", "nonce": "other", "phase": "idle", "holder": THEIRS}
    stage.http.steps[:] = [lambda _: (stage.store.put(STATE, other), token(1, refresh_token="RT-1"))[1]]
    await stage.rotate()
    assert stage.stands(STATE) == other
    assert not stage.charge.pending


async def test_a_race_for_the_intent_is_no_alarm():
    stage = spending(refreshing(), THEIRS, token(2))
    stage.store.before = lambda deed, place: (
        stage.store.put(STATE, KEPT | INTENT | {"holder": THEIRS}) if (deed, place) == ("write", STATE) else None
    )
    assert (await stage.rotate()).reason == "leased"
    assert (stage.grants(), stage.sink.told()) == ([], [])


async def went_back(job, *steps) -> Stage:
    """Three rotations, then Vault is restored to where it was after the first of them."""
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in (1, 2, 3)), *steps, job=job)
    await stage.rotate()
    snapshot = stage.stands(STATE)
    for _ in range(2):
        await stage.later(minutes=50)
    stage.store.put(STATE, snapshot)
    return stage


async def test_after_a_restore_the_newest_pair_comes_from_the_journal():
    stage = await went_back(refresh_only(), token(4, refresh_token="RT-4"))
    await stage.look()
    assert stage.charge.pending
    await stage.rotation.save(stage.charge)
    assert stage.stands(STATE)["refresh_token"] == "RT-3"
    await stage.later(minutes=50)
    assert stage.grants() == ["RT-seed", "RT-1", "RT-2", "RT-3"]
    (told,) = stage.sink.named("foreign_change")
    assert told.fields["error"] == "restored"


@pytest.mark.parametrize("wreck", [{"generation": "9"}, {}, None], ids=["overwritten", "emptied", "deleted"])
async def test_a_state_record_that_somebody_wrecks_is_mended_from_the_journal(wreck):
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in (1, 2, 3)), job=refresh_only())
    for _ in range(2):
        await stage.later(minutes=50)
    stage.store.delete(STATE) if wreck is None else stage.store.put(STATE, wreck)

    await stage.later(minutes=50)
    await stage.rotate()

    assert stage.grants() == ["RT-seed", "RT-1", "RT-2"]
    assert stage.stands(STATE)["refresh_token"] == "RT-3"
    assert [one.fields["error"] for one in stage.sink.named("foreign_change")] == ["restored"]


async def test_a_refresh_token_that_somebody_puts_there_by_hand_is_taken():
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in (1, 2)), job=refresh_only())
    await stage.rotate()
    stage.store.put(STATE, {"refresh_token": "by hand"})
    await stage.later(minutes=50)
    assert stage.grants() == ["RT-seed", "by hand"]
    assert not stage.sink.named("foreign_change")


@pytest.mark.parametrize(("job", "then"), [(refreshing(), ["password"]), (refresh_only(refresh_token=None), [])])
async def test_without_the_journal_a_spent_token_is_still_not_sent(job, then):
    stage = await went_back(refreshing(), token(4, refresh_token="RT-4"))
    stage.charge.job = job
    stage.journal.last.clear()
    for _ in range(3):
        await stage.later(minutes=50) if not then else await stage.later(minutes=17)
    assert stage.grants()[3:] == then


@pytest.mark.fault("F55")
async def test_a_disk_that_is_full_is_told_once_and_stops_nobody():
    stage = spending(refreshing(), MINE, token(2, refresh_token="RT-2"))
    stage.journal.full = True
    for _ in range(2):
        assert (await stage.later(minutes=50)).outcome == "rotated"
    assert stage.sink.told() == [("store_failed", "journal")]


async def test_a_job_that_another_process_rotates_is_left_to_it():
    stage = spending()
    stage.journal.others.add("crm")
    assert (await stage.rotate()).error == "busy"
    assert stage.grants() == []


async def test_a_stale_journal_overwrites_nothing_newer():
    stage = spending(refreshing(), MINE, token(2))
    stage.store.before = lambda deed, place: _fail(stage, deed, place)
    await stage.rotate()
    assert stage.journal.next["crm"] is not None
    stage.store.before = lambda *_: None
    newer = KEPT | {"refresh_token": "RT-9", "generation": "9", "nonce": "other", "phase": "idle", "holder": THEIRS}
    stage.store.put(STATE, newer)
    stage.journal.released()
    stage.restart()
    await stage.look()
    assert not stage.charge.pending
    assert stage.stands(STATE) == newer


def _fail(stage, deed, place):
    if (deed, place) == ("write", STATE) and stage.http.requests:
        raise StoreUnavailableError("sealed", "Vault is sealed", status=503)
