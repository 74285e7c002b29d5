"""Wall clocks that leap, are stepped, sleep, stand still or change their zone, each under a real daemon; all at once.

The clocks are set by leaping.py; what is not set is the machine's own: monotonic clock, sleeps, sockets, OpenBao.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from refresher.demo.openbao import OpenBao
from tests.e2e.crowd import Crowd, enrol
from tests.e2e.site import Daemon, Site

pytestmark = pytest.mark.e2e
LEAPING = Path(__file__).with_name("leaping.py")
HOUR = 3600
SHORT, MIDDLE = 12, 20  # seconds that tokens live; others live an hour
MANY, FEW = 60, 8  # jobs
STEPS = 34
LIMITS = (4, 16)  # requests at once, at one host and in all
SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC)  # when a clock in Amsterdam goes from 02:00 to 03:00
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # from 03:00 to 02:00


class House:
    """A daemon with a clock of its own, and its jobs."""

    def __init__(self, name: str, folder: Path, bao: OpenBao, crowd: Crowd, jobs: int) -> None:
        bao.mount(f"clock-{name}")
        (folder / name).mkdir()
        self.name, self.crowd = name, crowd
        self.site = Site(folder / name, bao, f"clock-{name}")
        self.jobs = [f"{name}-{number:02}" for number in range(jobs)]
        enrol(self.site, crowd, self.jobs)
        self.clock = folder / name / "clock"
        self.set(0)
        self.daemon: Daemon
        self.marks: dict[str, tuple[float, int]] = {}

    def set(self, seconds: float, zone: str = "") -> None:
        draft = self.clock.with_suffix(".new")
        draft.write_text(f"{seconds} {zone}".strip())
        draft.rename(self.clock)

    def start(self, stack: ExitStack) -> None:
        self.daemon = stack.enter_context(self.site.daemon(sys.executable, str(LEAPING), str(self.clock)))

    def mark(self, name: str) -> None:
        """Note that something begins now."""
        self.marks[name] = time.monotonic(), len(self.crowd.asked)

    def since(self, name: str) -> list[tuple[str, float]]:
        """Return who has asked since, each with how many seconds after."""
        at, number = self.marks[name]
        return [(one.client, one.at - at) for one in self.crowd.asked[number:] if one.client in self.jobs]

    def dead_s(self, life: int) -> float:
        """Return for how long a reader of any path found a dead token: the longest."""
        worst = -float(life)
        apart = time.time() - time.monotonic()
        for job in self.jobs:
            issued, written = [one.at + apart for one in self.crowd.of(job)], self.site.written_at(f"tokens/{job}")
            if len(issued) > len(written):  # stopped before its token was written
                issued.pop()
            pairs = zip(issued, written[1:], strict=False)
            worst = max(worst, *(after - before - life for before, after in pairs))
        return worst


class Play:
    """What happened to all of them."""

    def __init__(self, folder: Path, bao: OpenBao) -> None:
        self.crowd = Crowd(self._life, hosts=4)
        self._folder, self._bao = folder, bao

    @staticmethod
    def _life(client: str) -> int:
        name = client.partition("-")[0]
        return {"back": SHORT, "stepped": SHORT, "spring": SHORT, "autumn": MIDDLE}.get(name, HOUR)

    def house(self, name: str, jobs: int) -> House:
        return House(name, self._folder, self._bao, self.crowd, jobs)

    def run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(self.crowd.serving())
            self.forward, self.asleep = self.house("forward", MANY), self.house("asleep", MANY)
            self.back, self.stepped = self.house("back", FEW), self.house("stepped", FEW)
            self.spring, self.autumn = self.house("spring", FEW), self.house("autumn", FEW)
            enrol(self.spring.site, self.crowd, ["daily"], schedule="0 3 * * *", timezone="Europe/Amsterdam")
            self.houses = (self.forward, self.asleep, self.back, self.stepped, self.spring, self.autumn)
            for house, change in ((self.spring, SPRING), (self.autumn, AUTUMN)):
                house.change = time.time() + 42  # seconds: none is fetched again within 30
                house.set(change.timestamp() - house.change, "Europe/Amsterdam")
            for house in self.houses:
                house.start(stack)
            everybody = sum(len(house.site.jobs) for house in self.houses)
            self.crowd.wait(lambda: len(self.crowd.counts()) == everybody, "a first token for each job")
            self._happen()
            for house in self.houses:
                assert house.daemon.stop() == 0

    def _happen(self) -> None:
        """Let it all happen, by the second."""
        began = time.monotonic()
        for second in range(STEPS):
            self.stepped.set(10 if second % 2 else -10)
            match second:
                case 0:
                    self.stepped.mark("steps")
                    self.spring.mark("steps")
                    self.forward.set(HOUR)
                    self.forward.mark("leap")
                    self.asleep.daemon.process.send_signal(signal.SIGSTOP)
                case 2:
                    self.back.set(-HOUR)
                    self.back.mark("leap")
                case 5:
                    self.asleep.set(2 * HOUR)
                    self.asleep.daemon.process.send_signal(signal.SIGCONT)
                    self.asleep.mark("woken")
                case 8:
                    self.autumn.daemon.process.send_signal(signal.SIGSTOP)
                case 13:
                    self.autumn.daemon.process.send_signal(signal.SIGCONT)
                    self.autumn.mark("woken")
                case 16:
                    self.autumn.set(float(self.autumn.clock.read_text().split()[0]), "Pacific/Auckland")
            time.sleep(max(began + second + 1 - time.monotonic(), 0))
        self.crowd.wait(lambda: len(self.crowd.of("daily")) > 1, "the calendar came round")


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory, openbao: OpenBao) -> Iterator[Play]:
    play = Play(tmp_path_factory.mktemp("clock"), openbao)
    play.run()
    yield play
    for house in play.houses:
        house.site.check_outputs()


def skews(house: House, level: str, field: str) -> list[Any]:
    return [line[field] for line in house.daemon.lines("clock_skew", level=level)]


@pytest.mark.fault("F25")
def test_an_hour_forward(play, measured):
    since = play.forward.since("leap")
    latest = max(after for _, after in since)
    measured(f"+1 h: {len(since)} jobs asked, the last {latest:.1f} s after; at once {play.crowd.most('forward')}")
    assert sorted(name for name, _ in since) == play.forward.jobs, "each once"
    assert tuple(map(min, play.crowd.most("forward"), LIMITS)) == play.crowd.most("forward")
    assert latest <= 30
    assert skews(play.forward, "warning", "leap_s") == pytest.approx([HOUR], abs=5)
    assert skews(play.forward, "error", "skew_s") == pytest.approx([HOUR] * 5, abs=10), "Vault's and four providers'"


@pytest.mark.fault("F26")
def test_an_hour_back(play, measured):
    dead = play.back.dead_s(SHORT)
    measured(f"-1 h: {len(play.back.since('leap'))} renewals after, the closest {-dead:.1f} s before expiry")
    assert len(play.back.since("leap")) >= 2 * FEW
    assert dead <= 0
    assert skews(play.back, "warning", "leap_s") == pytest.approx([-HOUR], abs=5)


@pytest.mark.fault("F27")
def test_steps_to_and_fro(play, measured):
    stepped, usual = (play.crowd.counts(house.marks["steps"][1]) for house in (play.stepped, play.spring))
    asked, nominal = sum(stepped[job] for job in play.stepped.jobs), sum(usual[job] for job in play.spring.jobs)
    dead = play.stepped.dead_s(SHORT)
    measured(f"{STEPS} steps of 10 s: {asked} requests, {nominal} without; the closest {-dead:.1f} s before expiry")
    assert dead <= 0
    assert asked <= 1.25 * nominal, "a step of 20 s forward is more than such a token's life; below it is 1.1"


@pytest.mark.fault("F28")
def test_summer_time_begins_and_ends_and_the_zone_changes(play, measured):
    due = play.spring.change
    first, second = play.spring.site.written_at("tokens/daily")
    measured(f"a calendar at 03:00 in the night in which 02:00 is missing: {second - due:+.1f} s")
    assert second >= due
    assert second - max(due, first + 30) < 10, "none is fetched again within 30 s"
    for house, life in ((play.spring, SHORT), (play.autumn, MIDDLE)):
        assert house.dead_s(life) <= 0
        assert skews(house, "warning", "leap_s") == []
        assert not house.daemon.lines("expiring", "expired")


@pytest.mark.fault("F30")
def test_two_hours_of_sleep(play, measured):
    since = play.asleep.since("woken")
    latest = max(after for _, after in since)
    measured(f"woken after 2 h: {len(since)} jobs asked, the last {latest:.1f} s after")
    assert sorted(name for name, _ in since) == play.asleep.jobs, "each once, none dropped"
    assert latest <= 30
    assert tuple(map(min, play.crowd.most("asleep"), LIMITS)) == play.crowd.most("asleep")


@pytest.mark.fault("F31")
def test_five_seconds_of_standstill(play, measured):
    since = play.autumn.since("woken")
    dead = play.autumn.dead_s(MIDDLE)
    measured(f"5 s of standstill: {len(since)} renewals after, the closest {-dead:.1f} s before expiry")
    assert {name for name, _ in since} == set(play.autumn.jobs), "no job is lost"
    assert dead <= 0


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.fault("F27")
def test_as_many_steps_as_minutes_of_a_day(tmp_path, openbao, measured):
    crowd = Crowd(lambda _client: 600, hosts=4)
    with ExitStack() as stack:
        stack.enter_context(crowd.serving())
        stepped, usual = (House(name, tmp_path, openbao, crowd, 40) for name in ("steps", "usual"))
        for house in (stepped, usual):
            house.start(stack)
        crowd.wait(lambda: len(crowd.counts()) == 80, "a first token for each job")
        for step in range(24 * 60):
            stepped.set(10 if step % 2 else -10)
            time.sleep(0.5)
        for house in (stepped, usual):
            assert house.daemon.stop() == 0
    pauses = {}
    for house in (stepped, usual):
        times = [[one.at for one in crowd.of(job)] for job in house.jobs]
        pauses[house.name] = sum((at[-1] - at[0]) / (len(at) - 1) for at in times) / len(times)
        house.site.check_outputs()
    dead, more = stepped.dead_s(600), pauses["usual"] / pauses["steps"]
    measured(f"1,440 steps of 10 s: {more:.3f} times the usual requests; the closest {-dead:.1f} s before expiry")
    assert dead <= 0
    assert more <= 1.1
