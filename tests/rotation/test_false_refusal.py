"""A provider that says no and means not now; and one that locks the account of whoever repeats a wrong password."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import backoff, due
from refresher.core.model import Rejected
from refresher.state.ledger import Ledger
from tests.core.builders import NOW, a_job
from tests.fakes.http import answer
from tests.rotation.house import HOUR, MINUTE, SECOND, House, many, refreshing

FALSE = 12 * MINUTE


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 30), st.text(max_size=8), st.text(max_size=8))
def test_any_part_of_the_spread_leaves_a_try_after_twelve_minutes(part, takes, name, holder):
    """Pure: each try takes `takes` seconds, and begins `takes` late; one that begins after the refusals succeeds."""
    ends, trouble = NOW + HOUR, None
    now = began = ends - due.lead(HOUR, None, part=part)
    while now - began < FALSE:
        now += takes * SECOND
        trouble = backoff.after_rejection(
            Rejected(kind="permanent", error="invalid_client", status=401),
            job=a_job(name=name),
            grant="client_credentials",
            before=trouble,
            now=now,
            expires_at=ends,
            credential="c",
            holder=holder,
        )
        now = trouble.retry_at
    assert now + takes * SECOND < ends


async def test_a_false_invalid_client_for_twelve_minutes_lets_no_token_of_an_hour_expire():
    """From each job's own due time on, in each of its cycles."""
    house = House(*many(100, *"abcdef"), drift=timedelta(days=9))
    house.provider.latency = 2 * SECOND
    since = {}

    def refuse(asked):
        if asked.client not in house.refused_once:
            house.refused_once.add(asked.client)
            return None  # the first token of all
        began = since.setdefault(asked.client, asked.at)
        if asked.at - began < FALSE:
            return answer(401, {"error": "invalid_client"})
        del since[asked.client]
        return None

    house.refused_once = set()
    house.provider.refuse = refuse
    async with house.serving():
        for _ in range(2 * 6 + 3):
            await house.advance(10 * MINUTE)
    assert house.expired_seconds == 0
    assert len(house.written) == 100
    latched = house.sink.named("latched")
    assert len(latched) >= 2 * 100, "each cycle began with a refusal"
    assert len([one for one in latched if one.level == "error"]) == len(latched), "one alert for each"
    assert not house.sink.named("expired")


class Locking:
    """Refuses each wrong password, and locks the account at the fifth in a row."""

    def __init__(self, house: House) -> None:
        self.house, self.right, self.wrong = house, "right", 0
        house.provider.refuse = self.refuse

    def refuse(self, asked):
        if asked.grant != "password":
            return None
        if self.wrong >= 5:
            return answer(403, {"error": "account_locked"})
        if self.house.references.texts["env:PASSWORD"] == self.right:
            self.wrong = 0
            return None
        self.wrong += 1
        return answer(400, {"error": "invalid_grant"})


@pytest.mark.parametrize("refreshes", [False, True])
async def test_an_account_that_locks_after_five_wrong_passwords_never_locks(refreshes, tmp_path):
    """Neither by time, nor by rounds and restarts; and a password that is mended is sent at once."""
    house = House(refreshing("api", refreshes=refreshes))
    lock = Locking(house)
    for _restart in range(6):
        house.ledger = Ledger(tmp_path, "default")
        house.stop = asyncio.Event()
        async with house.serving():
            for _ in range(3):
                await house.advance(HOUR)
            assert lock.wrong == 1
            assert house.state("api") == "latched"
        house.ledger.close()
        assert house.ledger.dropped == 0
    assert [one.level for one in house.sink.named("latched")] == ["error"], "told once, by the first of six processes"
    house.references.texts["env:PASSWORD"] = "right"
    house.ledger = Ledger(tmp_path, "default")
    house.stop = asyncio.Event()
    async with house.serving():
        await house.advance(MINUTE)
        assert house.token("api")
    house.ledger.close()


async def test_a_password_is_not_sent_again_because_the_client_is_refused_over_and_over():
    """A refused client is asked again slowly: four times an hour at most, once nothing lives that could be saved."""
    house = House(refreshing("api", refreshes=False))
    house.provider.refuse = lambda _asked: answer(401, {"error": "invalid_client"})
    async with house.serving():
        await house.advance(24 * HOUR)
    assert house.asked("api") <= 24 * 4 + 1
