"""The dead man's switch is called while every job is well, and only then."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from refresher.core.model import HttpResponse, Reference
from refresher.core.policy import Trouble
from refresher.pulse import Pulse, is_well
from refresher.sinks.posting import Posting
from tests.fakes.http import answer
from tests.rotation.house import HOUR, MINUTE, House, job
from tests.rotation.stage import IDENTITY
from tests.sinks.test_hooks import Local

URL = "https://hc.example.com/ping/refresher"


class Switch:
    """Somebody who waits for calls."""

    def __init__(self, house: House, **settings) -> None:
        self.clock, self.calls, self.status = house.clock, [], 200
        self.settings = SimpleNamespace(**{"heartbeat_url": URL, "heartbeat_every": MINUTE} | settings)
        self.standstill = ""
        parts = SimpleNamespace(
            settings=self.settings,
            calls=SimpleNamespace(posting=Posting(self, Local())),
            clock=house.clock,
            sink=house.sink,
            identity=IDENTITY,
        )
        self.pulse = Pulse(house.roster, house=parts, standstill=lambda: self.standstill)

    async def send(self, request) -> HttpResponse:
        self.calls.append((request.method, request.url, self.clock.monotonic()))
        return HttpResponse(status=self.status)

    def count(self) -> int:
        count = len(self.calls)
        self.calls.clear()
        return count


async def serve(house: House, **settings):
    switch = Switch(house, **settings)
    house.beating = house.serve.get_loop().create_task(switch.pulse.beat())
    return switch


async def test_it_is_called_each_minute_while_all_is_well():
    house = House(job("a"), job("b"))
    async with house.serving():
        switch = await serve(house)
        await house.advance(HOUR)
        assert {(method, url) for method, url, _ in switch.calls} == {("GET", URL)}
        assert 59 <= switch.count() <= 61
        house.beating.cancel()


async def test_it_is_not_called_from_the_first_failure_until_the_job_is_well_again():
    house = House(job("a"), job("b"))
    async with house.serving():
        switch = await serve(house)
        await house.advance(10 * MINUTE)
        assert switch.count() > 8
        house.provider.refuse = lambda _asked: answer(503)
        await house.advance(2 * HOUR)
        first = house.sink.named("failing")
        assert first
        switch.count()
        await house.advance(HOUR)
        assert switch.count() == 0
        house.provider.refuse = lambda _asked: None
        await house.advance(10 * MINUTE)
        assert switch.count() >= 4
        house.beating.cancel()


async def test_it_is_not_called_where_nothing_moves_or_where_there_is_no_address():
    house = House(job("a"))
    async with house.serving():
        switch = await serve(house)
        switch.standstill = "the sweep has not gone round"
        await house.advance(10 * MINUTE)
        assert switch.count() <= 1
        switch.standstill, switch.settings.heartbeat_url = "", ""
        await house.advance(10 * MINUTE)
        assert switch.count() == 0
        switch.settings.heartbeat_url = URL
        await house.advance(10 * MINUTE)
        assert switch.count() >= 9
        house.beating.cancel()


async def test_a_call_that_fails_is_told_once_and_so_is_its_end():
    house = House(job("a"))
    async with house.serving():
        switch = await serve(house)
        switch.status = 500
        await house.advance(5 * MINUTE)
        switch.status = 200
        await house.advance(5 * MINUTE)
        told = [(one.level, one.fields["hook"]) for one in house.sink.named("hook_failed") if one.level != "debug"]
        assert told == [("warning", "heartbeat_url"), ("info", "heartbeat_url")]
        house.beating.cancel()


async def test_an_address_that_can_not_be_read_is_told_of_and_is_no_secret():
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        switch = await serve(house, heartbeat_url=Reference(kind="env", target="NONE"))
        await house.advance(timedelta(seconds=1))
        for _ in range(500):
            await house.advance(timedelta(seconds=1))
            if house.sink.named("hook_failed"):
                break
        assert house.sink.named("hook_failed")[0].fields["error"] == "secret"
        assert switch.calls == []
        house.beating.cancel()


@pytest.mark.parametrize(("left", "well"), [(timedelta(minutes=50), True), (timedelta(minutes=5), False)])
async def test_a_token_with_less_life_than_promised_is_not_well(left, well):
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        charge = house.roster.charges["a"]
        (held,) = charge.held
        now = held.expires_at - left
        assert is_well(charge, now, IDENTITY.holder) is well
        charge.held = (None,)
        assert not is_well(charge, now, IDENTITY.holder)
        charge.held = (held,)


@pytest.mark.parametrize("trouble", [{"kind": "permanent", "retry_at": None}, {"kind": "transient"}])
async def test_a_job_in_trouble_is_not_well_however_long_its_token_lives(trouble):
    house = House(job("a"))
    async with house.serving():
        await house.advance(MINUTE)
        charge, now = house.roster.charges["a"], house.clock.now()
        held = charge.held
        assert is_well(charge, now, IDENTITY.holder)
        words = {"error": "http_503", "count": 1, "since": now, "retry_at": now + HOUR} | trouble
        charge.trouble = Trouble(**words)
        charge.held = (None,)
        assert not is_well(charge, now, IDENTITY.holder)
        charge.held, due = held, held[0].expires_at - timedelta(minutes=11)
        charge.trouble = replace(charge.trouble, retry_at=trouble.get("retry_at", due + MINUTE))
        assert held[0].expires_at - due > timedelta(minutes=10), "more than was promised"
        assert not is_well(charge, due, IDENTITY.holder)
        charge.trouble = None
        assert is_well(charge, due, IDENTITY.holder)
