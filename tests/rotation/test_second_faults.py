"""One fault on top of another: a reload in the middle of a walk, a kill after a lost answer, a stranger meanwhile."""

import asyncio
import errno
import os
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from refresher.charge import Charge, Identity
from refresher.core.errors import StoreUnavailableError, TransportError
from refresher.core.model import Location, Token
from refresher.core.orders import BY_HAND, Orders
from refresher.core.secret import Secret
from refresher.handback import Handback
from refresher.rotation import Rotation
from refresher.state import journal
from refresher.state.journal import Journal
from refresher.state.ledger import Ledger
from tests.control.test_desk import ME, office
from tests.core.builders import PLACE, STATE
from tests.fakes.clock import settle
from tests.fakes.http import answer, lost
from tests.fakes.journal import FakeJournal
from tests.fakes.ledger import FakeLedger
from tests.fakes.programs import provider_side
from tests.fakes.store import FakeStore
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, path_of, state_of, unwritable
from tests.rotation.house import refreshing as house_job
from tests.rotation.stage import IDENTITY, SEED, Stage, refresh_only, refreshing, refused, replaceable, token
from tests.rotation.test_nothing_lost import INTENT, KEPT, MINE, THEIRS, Killed, raise_one

OTHER = Location(mount="secret", path="tokens/theirs")


@pytest.mark.parametrize("words", [{"single_use": False}, {}], ids=["reusable", "not known"])
async def test_a_lost_answer_of_a_server_that_issues_no_new_refresh_token(words):
    stage = Stage(token(1), lost(), token(2), token(3), job=refresh_only(refresh_token=None, **words))
    stage.store.put(STATE, KEPT | {"phase": "idle"})
    for _ in range(8):
        await stage.later(minutes=15)
    assert stage.stands(STATE).get("refresh_token") == "RT-1"
    assert ("latched", "no_refresh_token") not in stage.sink.told()


@pytest.mark.parametrize("force", [True, False], ids=["rotate", "once"])
async def test_an_order_for_the_new_name_while_the_old_one_is_walked(force):
    one = job("a", grant="refresh_token")
    house = House(one)
    house.provider.refreshes, house.provider.clients["a"].valid = True, "RT-0"
    house.store.put(state_of("a"), KEPT | {"refresh_token": "RT-0", "phase": "idle", "job": "a"})
    async with house.serving():
        await house.advance(MINUTE)
        house.provider.latency = 10 * SECOND
        house.store.delete(path_of("a"))
        await house.roster.look("a")  # it is due: readers have nothing
        await house.clock.advance(SECOND)
        assert house.asked("a") == 2, "its request is under way"
        house.update(replace(one, name="new-a", moved_from="a"))  # SIGHUP
        house.roster.begin("new-a", force=force)  # refresher rotate new-a, or once
        await house.clock.advance(MINUTE)
        client = house.provider.clients["a"]
        kept = house.store.stands(state_of("new-a"))["refresh_token"]
    assert house.provider.twice_at_once == []
    assert house.provider.replayed == []
    assert not client.revoked
    assert house.sink.named("grant_unknown") == []
    assert kept == client.delivered


async def test_a_kill_between_write_and_keep_puts_no_renewal_off():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    keep = stage.journal.keep

    async def die(_):
        raise Killed

    stage.journal.keep = die
    with pytest.raises(Killed):
        await stage.rotate()
    stage.journal.keep = keep
    stage.journal.released()
    stage.restart()
    await stage.later(seconds=3)
    assert (await stage.later(minutes=50)).outcome == "rotated", "not 5 s before its expiry"


async def test_a_job_that_is_taken_out_and_comes_back_is_latched_still(tmp_path):
    house = House(house_job("a"), job("b"))
    house.ledger = Ledger(tmp_path, "default")
    house.provider.refuse = lambda asked: answer(400, {"error": "invalid_grant"}) if asked.client == "a" else None
    async with house.serving():
        await house.advance(MINUTE)
        assert (house.state("a"), house.asked("a")) == ("latched", 1)
        house.update(job("b"))
        await house.advance(MINUTE)
        house.update(house_job("a"), job("b"))
        await house.advance(MINUTE)
    house.ledger.close()
    assert house.asked("a") == 1, "a refused password is sent again"


@pytest.mark.parametrize("released", [True, False])
async def test_what_a_person_decided_of_a_job_that_comes_back_counts(released, tmp_path):
    house = House(job("a", adopt=True), job("b"))
    house.ledger = Ledger(tmp_path, "default")
    async with house.serving():
        await house.advance(MINUTE)
        until = None if released else house.clock.now() + 24 * HOUR
        house.roster.order("a", Orders(released=released, paused_until=until))
        house.update(job("b"))
        await house.advance(MINUTE)
        house.update(job("a", adopt=True), job("b"))
        await house.advance(2 * HOUR)
    house.ledger.close()
    assert house.asked("a") == 1


async def test_a_second_refresh_token_to_begin_with_is_tried_though_the_first_was_refused_too():
    stage = Stage(token(1, refresh_token="RT-1"), refused(), refused(), token(2), job=refresh_only())
    await stage.rotate()
    await stage.later(minutes=50)
    for text in ("RT-mistyped", "RT-good"):
        stage.references.texts[str(SEED)] = text
        await stage.later(minutes=1)
    assert stage.grants() == ["RT-seed", "RT-1", "RT-mistyped", "RT-good"]


def other_of(stage: Stage) -> Rotation:
    return Rotation(
        **provider_side(http=stage.http, references=stage.references, clock=stage.clock, programs=stage.programs),
        stores=stage.stores,
        references=stage.references,
        clock=stage.clock,
        sink=stage.sink,
        identity=Identity(instance="default", holder=THEIRS, key=b"k" * 32),
        journal=FakeJournal(),
    )


async def test_what_came_to_a_frozen_holder_is_kept_where_who_took_over_got_nothing():
    stage = Stage(job=refresh_only())
    stage.store.put(STATE, KEPT | {"phase": "idle"})
    other, theirs, sent = other_of(stage), Charge(job=stage.charge.job), []

    async def send(request):
        sent.append(dict(parse_qsl(request.body.decode()))["refresh_token"])
        if len(sent) == 1:  # ours is frozen past its lease; readers have nothing, so that the other replays, and fails
            stage.store.age = timedelta(seconds=31)
            await other.rotate(theirs)
            return token(2, refresh_token="RT-2")
        return token(3) if sent[-1] == "RT-2" else refused()

    stage.http.send = send
    await stage.rotate()
    await stage.later(minutes=50)
    assert sent == ["RT-1", "RT-1", "RT-2"], "we know that RT-1 is spent: RT-2 came for it"


async def crashed() -> Stage:
    """Return a stage on which a bug of ours came up between request and answer."""

    def crash(_):
        raise MemoryError

    stage = Stage(token(1, refresh_token="RT-1"), crash, token(3), job=refreshing())
    await stage.rotate()
    with pytest.raises(MemoryError):
        await stage.later(minutes=50)
    return stage


async def test_a_crash_and_a_vault_that_stumbles_make_no_unknown_grant_a_known_one():
    stage = await crashed()
    failing = [StoreUnavailableError("sealed", "Vault is sealed", status=503)]
    stage.store.before = lambda *_: raise_one(failing)
    assert (await stage.later(seconds=2)).outcome == "store_failed"
    await stage.later(seconds=10)
    assert stage.grants() == ["password", "RT-1", "password"]
    assert len(stage.sink.named("grant_unknown")) == 1


async def test_nor_does_a_token_by_hand():
    stage = await crashed()
    brought = Token(access_token=Secret("AT-hand"), issued_at=stage.clock.now(), expires_in=3600, flags=(BY_HAND,))
    stage.charge.unwritten = brought  # as Desk._put does
    await stage.later(seconds=5)
    await stage.later(minutes=50)
    assert stage.grants() == ["password", "RT-1", "password"]


@pytest.mark.parametrize("how", ["reload", "restart"])
async def test_a_token_in_hand_is_not_written_to_a_path_that_was_never_ours(how):
    stage = Stage(token(1, refresh_token="RT-1"), job=refreshing())

    def before(deed, place):
        if (deed, place) == ("write", PLACE):
            raise Killed if how == "restart" else StoreUnavailableError("sealed", "Vault is sealed", status=503)

    stage.store.before = before
    if how == "restart":
        with pytest.raises(Killed):
            await stage.rotate()
        stage.journal.released()
    else:
        await stage.rotate()
    stage.store.before = lambda *_: None
    stage.store.put(OTHER, {"access_token": "a stranger's"})
    getattr(stage, how)(destinations=(OTHER,))
    await stage.later(seconds=10)
    assert stage.stands(OTHER) == {"access_token": "a stranger's"}
    assert stage.stands(STATE)["refresh_token"] == "RT-1"


async def test_nor_over_what_somebody_put_at_our_path_while_we_were_dead():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    await stage.rotate()

    def before(deed, place):
        if (deed, place) == ("write", PLACE):
            raise Killed

    stage.store.before = before
    with pytest.raises(Killed):
        await stage.later(minutes=50)
    stage.store.before = lambda *_: None
    theirs = {"access_token": "by hand", "expires_at": "2026-11-21T20:00:00Z"}
    stage.store.put(PLACE, theirs, {"job": "crm", "managed_by": "refresher/default"})
    stage.journal.released()
    stage.restart()
    await stage.later(seconds=10)
    assert stage.stands() == theirs


async def test_the_journals_key_is_in_the_vault_that_is_written_to():
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in (1, 2, 3, 4)), job=refresh_only())
    await stage.rotate()
    stage.store = stage.stores[""] = FakeStore(mounts=("secret", "refresher"))  # as Parts.connect does on a reload
    stage.charge = stage.charge.succeeded_by(stage.charge.job, moved=("",))
    await stage.rotate()
    count = len(stage.http.requests)

    def before(deed, place):
        if (deed, place) == ("write", STATE) and len(stage.http.requests) > count:
            raise Killed

    stage.store.before = before
    with pytest.raises(Killed):
        await stage.later(minutes=50)
    assert '"RT-3"' in stage.journal.next["crm"][0], "it came, and is in the journal"
    stage.store.before = lambda *_: None
    stage.journal.released()
    stage.rotation = stage.rotation_of(stage.http)
    stage.restart()
    await stage.rotate()
    assert stage.stands(STATE)["refresh_token"] == "RT-3"
    assert stage.grants() == ["RT-seed", "RT-1", "RT-2"]


async def test_an_unknown_grant_is_not_known_again_by_way_of_the_journal():
    stage = Stage(token(1, refresh_token="RT-1"), token(2), token(3), job=refreshing())
    await stage.rotate()
    stage.store.put(STATE, KEPT | INTENT | {"holder": MINE})
    stage.restart()

    def before(deed, place):
        if (deed, place) == ("write", STATE) and len(stage.http.requests) == 2:
            raise Killed

    stage.store.before = before
    with pytest.raises(Killed):
        await stage.rotate()
    stage.store.before = lambda *_: None
    stage.journal.released()
    stage.restart()
    await stage.rotate()
    await stage.later(minutes=50)
    assert stage.grants() == ["password", "password", "password"]


async def test_no_destination_that_was_behind_is_written_after_it_was_handed_back():
    second = Location(mount="secret", path="tokens/second")
    stage = Stage(token(1), job=replaceable(destinations=(PLACE, second)))
    stage.store.denied.add(second.path)
    await stage.rotate()
    stage.store.denied.clear()
    stage.charge.orders = Orders(released=True)
    await Handback(stores=stage.stores, clock=stage.clock, identity=IDENTITY).of(stage.charge)
    await stage.later(minutes=10)
    assert stage.stands(second) is None


async def test_nor_one_that_has_a_token_waiting():
    stage = Stage(token(1), job=replaceable())
    failing = [StoreUnavailableError("sealed", "Vault is sealed", status=503)]
    stage.store.before = lambda deed, _place: raise_one(failing if deed == "write" else [])
    await stage.rotate()
    stage.charge.orders = Orders(released=True)
    await Handback(stores=stage.stores, clock=stage.clock, identity=IDENTITY).of(stage.charge)
    await stage.later(seconds=10)
    assert stage.stands() is None


@pytest.mark.parametrize("how", ["never left", "unheard of"])
async def test_a_replay_that_never_left_ends_no_leeway(how):
    def down(_):
        raise TransportError("transport", "connection refused", sent=False)

    steps = [down] if how == "never left" else []
    job = refresh_only(leeway=timedelta(minutes=30))
    stage = Stage(token(1, refresh_token="RT-1"), *steps, token(2, refresh_token="RT-2"), job=job)
    await stage.rotate()
    stage.store.put(STATE, KEPT | INTENT | {"holder": MINE})
    stage.restart()
    failing = [StoreUnavailableError("standby", "307")] if how == "unheard of" else []
    stage.store.after = lambda deed, place: raise_one(failing if (deed, place) == ("write", STATE) else [])
    await stage.later(minutes=1)
    assert (await stage.later(minutes=2)).outcome == "rotated"


@pytest.mark.parametrize("released", [True, False])
async def test_an_order_to_the_new_name_counts_before_the_old_one_is_done(released):
    house = House(house_job("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.update(replace(house.jobs["a"], name="new-a", moved_from="a"))
        until = None if released else house.clock.now() + 24 * HOUR
        house.roster.order("new-a", Orders(released=released, paused_until=until))
        house.store.before = lambda _deed, _place: None
        await house.advance(3 * HOUR)
    assert house.asked("a") == 1


async def test_who_asked_for_a_job_that_is_taken_out_is_let_go():
    async with office(job("a"), job("b")) as one:
        one.house.roster._walks._queue._limits = replace(one.house.limits, per_host=1)
        one.house.provider.latency = 10 * SECOND
        asking = asyncio.ensure_future(one.desk.once(("a", "b"), ME, one.said.append, force=True))
        await settle()
        (queued,) = one.house.roster._walks.queued
        one.house.update(*(one.house.jobs[name] for name in "ab" if name != queued))
        await one.house.clock.advance(HOUR)
        done = asking.done()
        asking.cancel()
        await asyncio.wait([asking])
    assert done


async def test_no_descriptor_is_no_empty_journal(tmp_path, monkeypatch):
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), job=refreshing())
    stage.journal = Journal(tmp_path, "default")
    stage.rotation = stage.rotation_of(stage.http)

    def before(deed, place):
        if (deed, place) == ("write", STATE) and stage.http.requests:
            raise Killed

    stage.store.before = before
    with pytest.raises(Killed):
        await stage.rotate()
    stage.store.before = lambda *_: None
    for file in stage.journal._slots.values():
        os.close(file)  # as the end of the process does
    stage.journal = Journal(tmp_path, "default")
    stage.rotation = stage.rotation_of(stage.http)
    stage.restart()
    opened, failing = journal._open, [OSError(errno.EMFILE, "Too many open files")] * 3

    def opens(path, flags):
        raise_one(failing if flags == os.O_RDONLY else [])
        return opened(path, flags)

    monkeypatch.setattr(journal, "_open", opens)
    for _ in range(3):
        await stage.later(seconds=5)
    assert stage.grants() == ["password"]
    assert stage.stands(STATE)["refresh_token"] == "RT-1"


async def test_a_walk_of_two_requests_is_not_taken_for_dead():
    stage = Stage(token(1, refresh_token="RT-1"), job=refreshing())
    await stage.rotate()
    other, theirs, intents = other_of(stage), Charge(job=stage.charge.job), []

    async def send(_request):
        intents.append(stage.stands(STATE)["nonce"])
        if len(intents) == 1:
            return refused()  # after 18 s, within the deadline of 20 s
        if len(intents) == 2:  # 13 s later the full grant is under way
            stage.store.age = timedelta(seconds=13 if intents[0] != intents[1] else 31)
            await other.rotate(theirs)
        return token(len(intents), refresh_token=f"RT-{len(intents)}")

    stage.http.send = send
    await stage.later(minutes=50)
    assert stage.sink.named("grant_unknown") == []


async def test_a_strangers_token_at_one_of_two_paths_is_honoured_as_was_told():
    second = Location(mount="secret", path="tokens/second")
    stage = Stage(token(1), token(2), job=replaceable(destinations=(PLACE, second)))
    await stage.rotate()
    stage.store.put(second, {"access_token": "theirs", "expires_at": "2026-11-21T20:00:00Z"})
    await stage.look()
    assert stage.sink.named("foreign_change")[-1].fields["honoured_until"] == "2026-11-21T20:00:00Z"
    await stage.later(minutes=50)
    assert stage.stands(second)["access_token"] == "theirs"


async def test_two_daemons_at_a_provider_that_says_when_to_come_back():
    stage = Stage(
        *(token(n, 86400, refresh_token=f"RT-{n}", refresh_in=3600) for n in range(1, 30)), job=refresh_only()
    )
    other, theirs = other_of(stage), Charge(job=stage.charge.job)
    await other.rotate(theirs)
    await stage.later(minutes=30)
    await stage.rotate(force=True)
    for _ in range(6 * 60):
        await stage.later(minutes=1)
        await other.rotate(theirs)
    assert len(stage.http.requests) <= 2 + 6


async def test_what_the_end_has_written_is_in_the_ledger():
    house = House(house_job("a"))
    house.ledger, house.provider.refreshes = FakeLedger(), True
    unwritable(house)
    async with house.serving():
        await house.clock.advance(SECOND)
        house.stop.set()
        await house.clock.advance(MINUTE)
        house.store.before = lambda _deed, _place: None
        await house.clock.advance(MINUTE)
    assert house.ledger.recall("a").attempted.outcome == "rotated"
    assert house.ledger.recall("a").seen.generation == 1


async def test_an_answer_that_the_disk_did_not_take_is_told_of():
    stage = Stage(token(1, refresh_token="RT-1"), job=refreshing())

    async def enter(*_):
        return False

    stage.journal.enter = enter
    assert (await stage.rotate()).outcome == "rotated"
    (told,) = stage.sink.named("store_failed")
    assert (told.level, told.fields["error"]) == ("warning", "journal")


async def test_a_token_by_hand_is_written_over_what_somebody_put_there():
    stage = Stage(token(1), job=replaceable())
    await stage.rotate()
    stage.store.put(PLACE, {"access_token": "theirs", "expires_at": "2026-11-21T20:00:00Z"})
    await stage.look()
    by_hand = Token(access_token=Secret("AT-hand"), issued_at=stage.clock.now(), expires_in=3600, flags=(BY_HAND,))
    stage.charge.unwritten = by_hand
    assert (await stage.rotate()).reason == "put"
    assert stage.stands()["access_token"] == "AT-hand"
