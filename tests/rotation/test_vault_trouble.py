"""What Vault refuses or loses: nothing is spent in vain, and what was issued is written later."""

from datetime import timedelta

import pytest

from refresher.core.errors import StoreAmbiguousError, StoreUnavailableError
from refresher.core.model import Location
from tests.core.builders import PLACE, STATE
from tests.fakes.http import answer, lost
from tests.rotation.stage import Stage, refresh_only, refreshing, replaceable, token

SPARE = Location(mount="secret", path="tokens/crm-spare")


def failing(stage: Stage, deed: str, place: Location = PLACE, error=None) -> None:
    """Have every such deed at `place` fail from now on; of the state record, what follows the provider's answer."""
    error = error or StoreUnavailableError("sealed", "Vault is sealed", status=503)

    def before(done, where):
        if (done, where) == (deed, place) and ((deed, place) != ("write", STATE) or stage.http.requests):
            raise error

    stage.store.before = before


def mended(stage: Stage) -> None:
    stage.store.before = lambda _deed, _place: None


@pytest.mark.parametrize("job", [replaceable(), refreshing(), refresh_only()], ids=["client", "password", "refresh"])
async def test_a_token_that_could_not_be_written_is_written_next_without_another_request(job):
    stage = Stage(token(1, refresh_token="RT-1"), job=job)
    failing(stage, "write")

    ended = await stage.rotate()
    assert (ended.outcome, ended.error, ended.http_status, ended.store_down) == ("store_failed", "sealed", 503, True)
    for _ in range(3):
        assert (await stage.later(minutes=5)).outcome == "store_failed"
    mended(stage)
    ended = await stage.later(minutes=5)

    assert (ended.outcome, ended.reason) == ("rotated", "unwritten")
    assert len(stage.http.requests) == 1
    assert stage.stands()["issued_at"] == "2026-11-21T10:00:00Z"
    assert stage.stands()["access_token"] == "AT-1"


@pytest.mark.parametrize("job", [replaceable(), refreshing(), refresh_only(), replaceable(revokes_previous=True)])
async def test_an_unwritten_token_is_written_as_long_as_it_lives_and_renewed_at_once_when_it_is_due(job):
    stage = Stage(token(1), token(2), job=job)
    failing(stage, "write")
    await stage.rotate()
    mended(stage)

    assert (await stage.later(minutes=59)).reason == "unwritten"
    assert stage.stands()["access_token"] == "AT-1", "better than none, should the provider be away"
    assert (await stage.rotate()).reason == "due"
    assert stage.stands()["access_token"] == "AT-2"


async def test_a_dead_token_is_not_written():
    stage = Stage(token(1), token(2), job=refresh_only())
    failing(stage, "write")
    await stage.rotate()
    mended(stage)
    await stage.later(minutes=61)
    assert len(stage.http.requests) == 2
    assert stage.stands()["access_token"] == "AT-2"


async def test_an_unwritten_token_without_expiry_is_never_stale():
    stage = Stage(token(1, lifetime=None))
    failing(stage, "write")
    await stage.rotate()
    mended(stage)
    assert (await stage.later(days=9)).reason == "unwritten"


@pytest.mark.parametrize("where", [PLACE, STATE])
@pytest.mark.parametrize("error", [None, "denied"])
async def test_nothing_is_spent_that_could_not_be_written(where, error):
    stage = Stage(job=refresh_only())
    if error:
        stage.store.denied.add(where.path)
    else:
        failing(stage, "prove", where)
    for _ in range(3):
        assert (await stage.later(minutes=5)).outcome == "store_failed"
    assert not stage.http.requests


async def test_a_refresh_token_is_kept_before_the_access_token_is_tried():
    stage = Stage(token(1, refresh_token="RT-1"), job=refresh_only())
    failing(stage, "write", STATE)
    await stage.rotate()
    assert "write tokens/crm" not in stage.deeds()
    mended(stage)
    await stage.later(seconds=1)
    assert (stage.stands(STATE)["refresh_token"], stage.stands()["access_token"]) == ("RT-1", "AT-1")
    assert stage.grants() == ["RT-seed"]


@pytest.mark.parametrize("kind", ["denied", "away"])
async def test_a_refresh_token_that_nobody_uses_keeps_no_access_token_from_its_readers(kind):
    stage = Stage(*(token(n, refresh_token=f"RT-{n}") for n in range(1, 4)))
    if kind == "denied":
        stage.store.denied.add(STATE.path)
    else:
        failing(stage, "write", STATE)

    for number in (1, 2):
        assert (await stage.later(minutes=50)).outcome == "rotated"
        assert stage.stands()["access_token"] == f"AT-{number}"
        assert not stage.charge.pending

    unkept = [one.fields["unkept"] for one in stage.sink.named("rotated")]
    assert unkept == [{"denied": "denied", "away": "sealed"}[kind]] * 2, "and it is said"


@pytest.mark.fault("F13")
async def test_an_answer_lost_on_its_way_back_from_vault_is_done_when_it_is_written_again():
    stage = Stage(token(1), token(2))
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    stage.store.lose_answers = 1

    assert (await stage.rotate()).error == "deadline"
    assert (await stage.later(seconds=1)).outcome == "rotated"

    assert stage.store._number(stage.store._shelf(PLACE)) == 2, "no version was burned"


async def test_an_ambiguous_end_is_told_once_for_the_job():
    stage = Stage(token(1))
    failing(stage, "write", error=StoreAmbiguousError("deadline", "no whole reply"))
    for _ in range(3):
        await stage.later(seconds=10)
    mended(stage)
    await stage.later(seconds=10)
    assert stage.sink.told() == [("store_failed", "deadline")]
    assert [one.name for one in stage.sink.events][-2:] == ["recovered", "rotated"]


async def test_an_outage_is_not_told_by_each_job():
    """It is told once, for all (test_outage.py)."""
    stage = Stage(token(1))
    stage.store.away = True
    await stage.rotate()
    stage.store.away = False
    await stage.later(seconds=5)
    assert stage.sink.told() == []


async def test_a_look_that_goes_well_does_not_hide_that_writes_are_refused():
    stage = Stage(token(1), *[token(2, lifetime=60)] * 9)
    await stage.rotate()
    await stage.clock.advance(timedelta(minutes=50))
    failing(stage, "write", error=StoreAmbiguousError("deadline", "no whole reply"))
    for _ in range(4):
        assert (await stage.later(minutes=1)).outcome == "store_failed"
        await stage.look()
    assert stage.sink.told() == [("store_failed", "deadline")], "told once"


async def test_a_look_that_goes_well_after_one_that_failed_clears_the_way():
    stage = Stage(token(1))
    stage.store.denied.add(PLACE.path)
    await stage.look()
    assert stage.charge.trouble is not None
    stage.store.denied.clear()
    await stage.look()
    assert stage.charge.trouble is None


async def test_kv_v1_serves_a_replaceable_job():
    stage = Stage(token(1, refresh_token="RT-1"), token(2, refresh_token="RT-2"), version=1)
    assert (await stage.rotate()).destinations == ((PLACE, None),)
    assert (await stage.later(minutes=50)).outcome == "rotated"
    assert stage.stands()["access_token"] == "AT-2"
    assert stage.stands(STATE)["refresh_token"] == "RT-2"


@pytest.mark.fault("F21")
@pytest.mark.parametrize("job", [refreshing(), refresh_only(), replaceable(revokes_previous=True)])
async def test_kv_v1_is_refused_to_an_irreplaceable_job_before_anything_is_spent(job):
    stage = Stage(version=1, job=job)
    for _ in range(3):
        ended = await stage.later(minutes=5)
        assert (ended.outcome, ended.error) == ("store_failed", "kv_v1")
    assert not stage.http.requests
    assert stage.sink.told() == [("store_failed", "kv_v1")]


async def test_a_state_record_on_kv_v1_is_refused_before_anything_is_spent():
    job = refresh_only(states=Location(cluster="old", mount="refresher", path="refresher/default"))
    stage = Stage(job=job)
    stage.stores["old"] = Stage(version=1).store
    assert (await stage.rotate()).error == "kv_v1"
    assert not stage.http.requests


async def test_a_second_destination_that_fails_leaves_the_first_served():
    stage = Stage(token(1), job=replaceable(destinations=(PLACE, SPARE)))
    failing(stage, "write", SPARE)
    ended = await stage.rotate()
    assert (ended.outcome, ended.well, dict(ended.behind)) == ("rotated", False, {SPARE: "sealed"})
    assert stage.stands()["access_token"] == "AT-1"
    mended(stage)
    await stage.later(seconds=1)
    assert stage.stands(SPARE)["access_token"] == "AT-1"
    assert len(stage.http.requests) == 1


async def test_what_was_issued_is_saved_without_another_request():
    """Shutdown writes what is in hand; it does not begin anything."""
    stage = Stage(token("\n", refresh_token="RT-1"), job=refresh_only())
    failing(stage, "write", STATE)
    await stage.rotate()
    assert stage.charge.pending
    await stage.clock.advance(timedelta(hours=2))

    assert (await stage.rotation.save(stage.charge)).outcome == "store_failed"
    mended(stage)
    await stage.rotation.save(stage.charge)

    assert not stage.charge.pending
    assert stage.grants() == ["RT-seed"]
    assert stage.stands(STATE)["refresh_token"] == "RT-1"


@pytest.mark.leak("L7")
async def test_no_secret_and_no_foreign_text_is_told(canaries):
    names = ("client secret", "password", "refresh token", "access token", "provider's text", "exception's text")
    secrets = {name: canaries.plant(name) for name in names}
    broken_off = lost()
    broken_off.__cause__ = OSError(secrets["exception's text"])
    stage = Stage(
        answer(400, {"error": secrets["password"], "error_description": secrets["provider's text"]}),
        answer(503, {"error": "oops", "error_uri": secrets["provider's text"]}),
        broken_off,
        answer(200, secrets["access token"].encode()),
        token(1, access_token=secrets["access token"], refresh_token=secrets["refresh token"]),
        job=refreshing(adopt=True),
    )
    stage.references.texts = dict.fromkeys(stage.references.texts, secrets["client secret"])
    stage.store.put(PLACE, {"password": secrets["password"]})
    stage.references.texts["env:PASSWORD"] = secrets["password"]
    ended = []
    for number in range(8):
        stage.references.texts["env:CLIENT_SECRET"] = f"{secrets['client secret']}{number}"
        ended.append(await stage.later(minutes=10))
        stage.store.lose_answers = int(number == 4)
    kinds = {f"rejected_{kind}" for kind in ("permanent", "transient", "malformed")}
    assert {one.outcome for one in ended} >= kinds | {"rotated"}

    canaries.check(stage.sink.text(), repr(ended), str([one.as_json() for one in ended]), repr(stage.charge))
