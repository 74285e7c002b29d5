"""Credentials of a walk: the next client secret, and a token that another job has yet to write."""

from datetime import timedelta

import pytest

from refresher.core.job import Shape, Signing
from refresher.core.model import Location, Reference
from tests import keys
from tests.core.builders import PLACE, a_job
from tests.fakes.http import answer, lost
from tests.providers.test_signing import part
from tests.rotation.house import MINUTE, House, job, path_of
from tests.rotation.stage import SECRET, FakeReferences, Stage, refresh_only, refreshing, refused, replaceable, token

NEXT = Reference(kind="env", target="NEXT_CLIENT_SECRET")
TWO = Shape(next_client_secret=NEXT)
PLACE_OF_USER = path_of("user")
SUBJECT = Reference(kind="vault", target=f"{PLACE.mount}/tokens/user", field="access_token")


def with_two(*steps, job=replaceable, **changes) -> Stage:
    """A job that sends its client secret in the form, and has a next one."""
    stage = Stage(*steps, job=job(client_auth="post", shape=TWO, **changes))
    stage.references.texts[str(NEXT)] = "next-secret"
    return stage


def secrets_sent(stage: Stage) -> list[str]:
    return [form["client_secret"] for form in stage.sent()]


class TestNextClientSecret:
    @pytest.mark.parametrize("refusal", [refused("invalid_client", 401), refused("invalid_client"), answer(401)])
    async def test_it_is_tried_once_in_the_same_walk_and_the_event_says_that_it_was_taken(self, refusal):
        stage = with_two(refusal, token(1), token(2))
        assert (await stage.rotate()).outcome == "rotated"
        await stage.later(minutes=50)
        assert secrets_sent(stage) == ["client-secret", "next-secret", "client-secret"]
        first, second = stage.sink.named("rotated")
        assert first.fields["client_secret"] == "next"
        assert "client_secret" not in second.fields
        assert stage.sink.told() == []

    async def test_it_is_not_tried_while_the_first_is_taken(self):
        stage = with_two(token(1))
        await stage.rotate()
        assert secrets_sent(stage) == ["client-secret"]

    @pytest.mark.parametrize(
        "other", [refused("invalid_scope"), refused("invalid_grant", 401), answer(403), answer(503), lost()]
    )
    async def test_it_is_not_tried_for_another_refusal(self, other):
        stage = with_two(other)
        await stage.rotate()
        assert secrets_sent(stage) == ["client-secret"]

    async def test_when_both_are_refused_the_job_waits_and_neither_is_said_to_be_taken(self):
        stage = with_two(refused("invalid_client", 401), refused("invalid_client", 401))
        assert (await stage.rotate()).error == "invalid_client"
        assert stage.sink.told() == [("latched", "invalid_client")]
        assert "client_secret" not in stage.sink.events[0].fields

    async def test_a_refusal_of_another_thing_says_that_the_next_secret_was_taken(self):
        stage = with_two(refused("invalid_client", 401), refused("invalid_scope"))
        assert (await stage.rotate()).error == "invalid_scope"
        assert stage.sink.events[0].fields["client_secret"] == "next"

    async def test_a_refresh_token_that_was_not_looked_at_goes_along_again(self):
        stage = with_two(refused("invalid_client", 401), token(1, refresh_token="RT-1"), job=refresh_only)
        assert (await stage.rotate()).outcome == "rotated"
        assert stage.grants() == ["RT-seed", "RT-seed"]

    @pytest.mark.parametrize("refusal", [refused("invalid_grant"), answer(401), refused("Forbidden", 401)])
    async def test_a_refresh_token_that_may_be_spent_does_not(self, refusal):
        stage = with_two(refusal, job=refresh_only)
        await stage.rotate()
        assert stage.grants() == ["RT-seed"]

    async def test_it_serves_the_full_grant_after_a_refused_refresh_token_too(self):
        stage = with_two(
            token(1, refresh_token="RT-1"),
            refused("invalid_grant"),
            refused("invalid_client", 401),
            token(2),
            job=refreshing,
        )
        await stage.rotate()
        assert (await stage.later(minutes=50)).outcome == "rotated"
        assert stage.grants() == ["password", "RT-1", "password", "password"]
        assert secrets_sent(stage)[-2:] == ["client-secret", "next-secret"]

    async def test_it_signs_in_the_place_of_the_first(self):
        stage = with_two(refused("invalid_client", 401), token(1), job=replaceable)
        stage.restart(client_auth="client_secret_jwt")
        assert (await stage.rotate()).outcome == "rotated"
        first, second = (form["client_assertion"] for form in stage.sent())
        assert first.split(".")[2] != second.split(".")[2]

    async def test_one_that_can_not_be_sent_is_named(self):
        stage = with_two(refused("invalid_client", 401))
        stage.references.texts[str(NEXT)] = "next\n"
        assert (await stage.rotate()).error == "secret_unreadable"
        assert stage.sink.events[-1].fields["why"].startswith(f"client_secret ({NEXT}): holds a control character")

    async def test_a_new_one_opens_the_latch(self):
        stage = with_two(refused("invalid_client", 401), refused("invalid_client", 401), token(1))
        await stage.rotate()
        assert (await stage.rotate()).reason == "backoff"
        stage.references.texts[str(NEXT)] = "another"
        assert (await stage.rotate()).outcome == "rotated"


async def test_each_try_is_signed_afresh():
    key = Reference(kind="env", target="KEY")
    stage = Stage(answer(503), answer(503), token(1), job=a_job(client_auth="private_key_jwt", shape=_signing(key)))
    stage.references.texts[str(key)] = keys.pem("P-256")
    for _ in range(3):
        await stage.later(minutes=1)
    claims = [part(form["client_assertion"], 1) for form in stage.sent()]
    assert len({one["jti"] for one in claims}) == 3
    assert [one["iat"] - claims[0]["iat"] for one in claims] == [0, 60, 120]


def _signing(key: Reference) -> Shape:
    return Shape(client_key=Signing(key=key, algorithm="ES256"))


async def test_a_key_that_is_no_use_spends_nothing_is_told_once_and_recovers():
    key = Reference(kind="env", target="KEY")
    stage = Stage(token(1), job=a_job(client_auth="private_key_jwt", shape=_signing(key)))
    stage.references.texts[str(key)] = keys.pem("RSA")
    assert (await stage.rotate()).error == "secret_unreadable"
    await stage.later(minutes=6)
    stage.references.texts[str(key)] = keys.pem("P-256")
    assert (await stage.later(minutes=6)).outcome == "rotated"
    assert stage.sink.told() == [("store_failed", "secret_unreadable")]
    assert "which takes an EC private key on P-256" in stage.sink.events[0].fields["why"]


class StoreReferences(FakeReferences):
    """References to Vault are read where the walks of other jobs write."""

    def __init__(self, texts, store) -> None:
        super().__init__(texts)
        self.store = store

    async def resolve(self, wanted):
        for reference in wanted.values():
            mount, _, path = reference.target.partition("/")
            if reference.kind == "vault":
                standing = self.store.stands(Location(mount=mount, path=path)) or {}
                self.texts.pop(str(reference), None)
                self.texts |= {str(reference): standing[reference.field]} if reference.field in standing else {}
        return await super().resolve(wanted)


def marked(name: str) -> dict[str, str]:
    """What refresher itself would have written for a job, long ago."""
    times = {"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2100-01-01T00:00:00Z"}
    return {"access_token": "old", "job": name, "managed_by": "refresher/default", **times}


def exchanging(**changes):
    shape = Shape(subject_token=SUBJECT)
    return job("partner", "b", grant="token_exchange", shape=shape, **changes)


@pytest.fixture
def house():
    """Job `partner` exchanges the token that job `user` writes, and comes first."""
    house = House(exchanging(), job("user"), lifetime=600)
    house.references = StoreReferences(house.references.texts, house.store)
    return house


class TestAwaitedToken:
    async def test_a_daemons_job_has_its_token_within_ten_seconds_of_the_other(self, house):
        house.provider.refuse = lambda asked: answer(503) if asked.client == "user" else None
        async with house.serving():
            await house.advance(3 * MINUTE)
            assert house.asked("partner") == 0, "there is nothing to exchange yet"
            house.provider.refuse = lambda _: None
            await house.advance(6 * MINUTE)
        (granted,) = (asked.at for asked in house.provider.requests("user")[-1:])
        assert granted < house.provider.requests("partner")[0].at <= granted + timedelta(seconds=10)
        told = [(one.name, one.level) for one in house.sink.events if one.job == "partner" and one.level != "debug"]
        assert told == [("store_failed", "warning"), ("recovered", "info"), ("rotated", "info")]

    async def test_a_pass_ends_with_both(self, house):
        ended = await house.once()
        assert {name: one.outcome for name, one in ended.items()} == {"user": "rotated", "partner": "rotated"}
        assert house.asked("partner") == 1

    async def test_a_pass_by_force_ends_with_both(self, house):
        house.store.put(PLACE_OF_USER, {"access_token": "dead", "expires_at": "2020-01-01T00:00:00Z"})
        house.store.put(path_of("partner"), marked("partner"))
        house.jobs["user"] = job("user", adopt=True)
        ended = await house.once(force=True)
        assert {name: one.outcome for name, one in ended.items()} == {"user": "rotated", "partner": "rotated"}

    async def test_a_pass_of_that_job_alone_says_what_it_awaits(self, house):
        ended = await house.once("partner")
        assert (ended["partner"].outcome, ended["partner"].error) == ("store_failed", "secret_awaited")
        assert house.provider.asked == []

    async def test_a_chain_of_three_ends_in_one_pass(self, house):
        last = Reference(kind="vault", target=f"{PLACE.mount}/tokens/partner", field="access_token")
        house.jobs = {"third": job("third", "c", grant="token_exchange", shape=Shape(subject_token=last)), **house.jobs}
        ended = await house.once()
        assert {one.outcome for one in ended.values()} == {"rotated"}

    async def test_a_dead_token_is_not_sent(self, house):
        house.store.put(PLACE_OF_USER, {"access_token": "dead", "expires_at": "2020-01-01T00:00:00Z"})
        ended = await house.once("partner")
        assert ended["partner"].error == "secret_awaited"
        assert house.sink.events[0].fields["why"] == f"{SUBJECT}: the token that stands there has expired"
        assert house.provider.asked == []

    @pytest.mark.parametrize("beside", [{}, {"expires_at": "2100-01-01T00:00:00Z"}, {"expires_at": "never"}])
    async def test_a_strangers_token_is_exchanged_while_nothing_says_that_it_is_dead(self, house, beside):
        house.store.put(PLACE_OF_USER, {"access_token": "somebody's", **beside})
        assert (await house.once("partner"))["partner"].outcome == "rotated"

    async def test_another_secret_that_is_missing_is_not_awaited(self, house):
        house.store.put(PLACE_OF_USER, {"access_token": "somebody's"})
        del house.references.texts[str(SECRET)]
        assert (await house.once("partner"))["partner"].error == "secret_unreadable"
