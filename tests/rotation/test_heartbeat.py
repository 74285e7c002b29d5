"""The heartbeat is the scheduler's own progress, and systemd hears how the daemon begins, reloads, stands and ends."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from refresher.core.settings import Limits
from refresher.heartbeat import Heartbeat
from refresher.host.notify import Manager
from tests.fakes.clock import settle
from tests.fakes.http import answer
from tests.fakes.manager import listening
from tests.rotation.house import HOUR, MINUTE, SECOND, House, job, many, path_of, refreshing, unwritable
from tests.rotation.stage import SlowStore

WATCHDOG = 60
STEP = 5 * SECOND


class Monitored(House):
    """A house with a heartbeat, and what systemd has heard of it."""

    @asynccontextmanager
    async def monitored(self, folder: Path, *, watchdog: float | None = WATCHDOG):
        with listening(folder / "notify", watchdog=watchdog) as self.manager:
            manager = Manager(self.clock, self.manager.environ)
            async with asyncio.TaskGroup() as group, self.serving():
                parts = {"manager": manager, "clock": self.clock, "sink": self.sink}
                self.heart = Heartbeat(self.roster, self.watch, **parts)
                tasks = [group.create_task(one) for one in (self.heart.beat(), self.heart.watch(self.stop))]
                if self.ready.is_set():
                    self.heart.ready()
                await settle()
                yield self
                self.stop.set()
                await self.finished(HOUR)
                for task in tasks:
                    task.cancel()

    async def heard(self, span: timedelta) -> list[dict[str, str]]:
        """Let `span` pass; return what systemd heard meanwhile."""
        self.manager.messages()
        heard: list[dict[str, str]] = []
        for _ in range(span // STEP):  # a socket of this kind holds ten messages that nobody reads
            await self.clock.advance(STEP)
            heard += self.manager.messages()
        return heard

    async def beats(self, span: timedelta) -> int:
        return sum("WATCHDOG" in message for message in await self.heard(span))


def end_task(name: str) -> None:
    """Have a task of the daemon come to a quiet end, as no exception would: a cancelled one is nobody's failure."""
    (task,) = [one for one in asyncio.all_tasks() if getattr(one.get_coro(), "__qualname__", "") == name]
    task.cancel()


@pytest.mark.parametrize(("watchdog", "beats"), [(60, 60), (4, 300), (3600, 60), (None, 0)])
async def test_a_daemon_at_work_beats_twice_in_the_watchdogs_span_or_more_often(tmp_path, watchdog, beats):
    house = Monitored(*many(3))
    async with house.monitored(tmp_path, watchdog=watchdog):
        assert await house.beats(10 * MINUTE) == beats


async def test_a_sweep_that_does_not_go_round_stops_the_heart(tmp_path):
    house = Monitored(*many(3))
    async with house.monitored(tmp_path):
        await house.clock.advance(MINUTE)
        end_task("Watch.sweep")
        assert 0 < await house.beats(2 * MINUTE) <= 7
        assert await house.beats(HOUR) == 0
        assert [one.level for one in house.sink.named("stalled")] == ["error"], "told once"
        assert "the sweep" in house.sink.named("stalled")[0].fields["why"]


async def test_due_jobs_that_are_not_taken_stop_the_heart_and_a_slow_provider_does_not(tmp_path):
    house = Monitored(*many(6), limits=Limits(per_host=1), lifetime=600)
    house.provider.latency = 20 * SECOND
    async with house.monitored(tmp_path):
        assert await house.beats(10 * MINUTE) == 60
        end_task("Walks.pump")
        await house.heard(10 * MINUTE)
        assert await house.beats(HOUR) == 0
        assert "due jobs" in house.sink.named("stalled")[0].fields["why"]


async def test_walks_that_never_end_stop_the_heart_when_others_wait_for_their_slots(tmp_path):
    house = Monitored(*many(6), limits=Limits(per_host=4))
    house.provider.latency = 40 * MINUTE
    async with house.monitored(tmp_path):
        assert await house.beats(9 * MINUTE) == 54
        await house.heard(2 * MINUTE)
        assert await house.beats(5 * MINUTE) == 0
        assert "no walk" in house.sink.named("stalled")[0].fields["why"]
        await house.heard(30 * MINUTE)
        assert await house.beats(MINUTE) == 6, "it beats again when they have ended after all"


async def test_the_status_line_tells_of_jobs_the_next_rotation_and_trouble(tmp_path):
    house = Monitored(job("a"), job("b"))
    async with house.monitored(tmp_path):
        ready, *_ = house.manager.messages()
        at, name = min((one.last.renew_at, one.job.name) for one in house.roster.charges.values())
        assert ready == {"READY": "1", "STATUS": f"2 jobs, next rotation {name} at {at:%Y-%m-%dT%H:%M:%S}Z"}
        assert not any("STATUS" in message for message in await house.heard(MINUTE)), "only when it changes"
        refused = answer(400, {"error": "invalid_client"})
        house.provider.refuse = lambda asked: refused if asked.client == "a" else None
        said = [message["STATUS"] for message in await house.heard(HOUR) if "STATUS" in message]
        assert "2 jobs, 1 latched: a (invalid_client), next rotation" in said[-1]


async def test_a_destination_that_is_behind_is_trouble_to_tell_of(tmp_path):
    far = replace(path_of("a"), cluster="far")
    house = Monitored(job("a", destinations=(path_of("a"), far)), job("b"))
    house.stores["far"] = SlowStore(house.clock)
    house.stores["far"].denied.add(far.path)
    async with house.monitored(tmp_path):
        heard = [*house.manager.messages(), *await house.heard(MINUTE)]
        said = [message["STATUS"] for message in heard if "STATUS" in message]
        assert "2 jobs, 1 in trouble: a (denied), next rotation" in said[-1]


async def test_a_reload_is_told_with_its_beginning_and_its_end_whatever_comes_of_it(tmp_path):
    house = Monitored(*many(2))
    async with house.monitored(tmp_path):
        house.manager.messages()
        with suppress(RuntimeError), house.heart.reloading():
            assert house.manager.said() == ["RELOADING", "MONOTONIC_USEC", "STATUS"]
            raise RuntimeError
        assert house.manager.said() == ["READY", "STATUS"]


async def test_a_start_may_take_as_long_as_looks_end_and_no_reload_ends_it(tmp_path):
    house = Monitored(*many(64))
    house.store.latency = 20 * SECOND
    async with house.monitored(tmp_path, watchdog=None):
        for _ in range(2):
            assert any("EXTEND_TIMEOUT_USEC" in message for message in await house.heard(30 * SECOND))
        with house.heart.reloading():
            pass
        assert house.manager.said() == []
        house.store.latency = 100 * MINUTE
        await house.heard(MINUTE)
        assert not any("EXTEND_TIMEOUT_USEC" in message for message in await house.heard(30 * MINUTE)), "they hang"
        house.store.latency = timedelta()


async def test_an_end_is_told_and_may_take_as_long_as_an_answer_is_unwritten(tmp_path):
    house = Monitored(refreshing("a"))
    house.provider.refreshes = True
    unwritable(house)
    async with house.monitored(tmp_path):
        await house.clock.advance(SECOND)
        house.manager.messages()
        house.stop.set()
        await settle()
        assert house.manager.said() == ["STOPPING", "STATUS"]
        heard = await house.heard(10 * MINUTE)
        assert sum("EXTEND_TIMEOUT_USEC" in message for message in heard) == 60
        assert sum("WATCHDOG" in message for message in heard) == 60
        assert {"STATUS": "ends once the answer for a is written"} in heard
        with house.heart.reloading():
            pass
        assert house.manager.said() == []
        house.store.before = lambda _deed, _place: None


async def test_an_idle_end_asks_for_no_time(tmp_path):
    house = Monitored(*many(2))
    async with house.monitored(tmp_path):
        await house.clock.advance(MINUTE)
        house.manager.messages()
        house.stop.set()
        await house.finished(SECOND)
        assert house.manager.said() == ["STOPPING", "STATUS"]


async def test_without_systemd_nothing_beats():
    house = House(*many(2))
    async with house.serving():
        sleepers = house.clock.sleepers
        heart = Heartbeat(
            house.roster, house.watch, manager=Manager(house.clock, {}), clock=house.clock, sink=house.sink
        )
        await heart.beat()
        heart.ready()
        assert house.clock.sleepers == sleepers
