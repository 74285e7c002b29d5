"""Thousands of jobs that are due at once, under a real daemon with a real OpenBao and four token hosts."""

import signal
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import pytest

from tests.e2e.crowd import Crowd, enrol
from tests.e2e.site import Daemon

pytestmark = pytest.mark.e2e
LEAPING = str(Path(__file__).with_name("leaping.py"))
LIMITS = (4, 16)  # requests at once, at one host and in all
SLOTS = 12  # of them; the last quarter is for hosts with nothing under way
HOUR = 3600
PATIENCE_S = 400
AWAY_S = 60


class Storm:
    """One daemon with its crowd, and what it has told since the last look."""

    def __init__(self, site, crowd: Crowd, daemon: Daemon, names: list[str]) -> None:
        self.site, self.crowd, self.daemon, self.names = site, crowd, daemon, names
        self.asked = self.told = 0

    def begin(self) -> None:
        """Look from now on."""
        self.asked, self.told = len(self.crowd.asked), len(self.daemon.events)

    def hours_pass(self, hours: int) -> None:
        """Set the clock, and have each job decided on at once, as the sweep does every 30 s."""
        self.begin()
        (self.site.folder / "clock").write_text(str(hours * HOUR))
        self.daemon.process.send_signal(signal.SIGHUP)

    def rotated(self) -> list[dict]:
        return [line for line in self.daemon.events[self.told :] if line["event"] == "rotated"]

    def await_all(self) -> list[dict]:
        """Return what was told of each rotation once each job has had its own."""
        self.crowd.wait(lambda: len(self.rotated()) >= len(self.names), "a token for each", within=PATIENCE_S)
        return self.rotated()


def rss_mb(daemon: Daemon) -> float:
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def storm_of(site):
    """Start a daemon with so many jobs and a crowd that serves them; return once each has a token."""
    with ExitStack() as stack:

        def start(jobs: int, crowd: Crowd) -> Storm:
            names = [f"storm-{number:04}" for number in range(jobs)]
            clock = site.folder / "clock"
            clock.write_text("0")
            stack.enter_context(crowd.serving())
            enrol(site, crowd, names)
            return Storm(site, crowd, stack.enter_context(site.daemon(sys.executable, LEAPING, str(clock))), names)

        yield start
    site.jobs = dict(list(site.jobs.items())[:5])  # the others' tokens are of the same kind


@pytest.mark.timeout(600)
@pytest.mark.fault("F32", "F33")
@pytest.mark.parametrize("jobs", [1000, pytest.param(5000, marks=pytest.mark.nightly)])
def test_all_are_due_at_once(storm_of, measured, jobs):
    """Each token ends at a time of its own, in no order of names; the next ones are all fetched together."""
    crowd = Crowd(lambda client: HOUR + int(client[-4:]) * 7919 % jobs, hosts=4)
    storm = storm_of(jobs, crowd)
    ends = {line["job"]: (seconds(line["expires_at"]), line["job"]) for line in storm.await_all()}
    before = rss_mb(storm.daemon)
    crowd.answer = lambda _client: HOUR
    storm.hours_pass(3)  # more than the longest of them lives
    lines = storm.await_all()
    assert storm.daemon.process.poll() is None
    growth = rss_mb(storm.daemon) - before
    assert storm.daemon.stop() == 0

    asked = crowd.asked[storm.asked :]
    took = max(one.at for one in asked) - asked[0].at
    spans = [line["duration_ms"] / 1000 for line in lines]
    busy, usual = sum(spans) / took, fmean(median(spans[at : at + 100]) for at in range(0, jobs, 100))
    stood = sum(max(after.at - before.at - 1, 0.0) for before, after in pairwise(asked))
    rank = {name: number for number, name in enumerate(sorted(ends, key=ends.__getitem__))}
    astray = sorted(abs(number - rank[one.client]) for number, one in enumerate(asked))[jobs * 99 // 100]
    renewals = [seconds(line["renew_at"]) for line in lines]
    spread = max(renewals) - min(renewals)
    measured(
        f"{jobs} at once: at most {crowd.most('storm')} requests; {busy:.1f} slots busy for {took:.1f} s, which is"
        f" {(took - stood) / (jobs / SLOTS * usual):.2f} times the jobs of a slot by the median walk of {usual:.2f} s"
    )
    measured(
        f"{jobs} at once: 99 % within {astray} places of their turn; due again over {spread:.0f} s; {growth:+.1f} MB"
    )
    assert crowd.most("storm")[0] <= LIMITS[0]
    assert crowd.most("storm")[1] <= LIMITS[1]
    assert sorted(one.client for one in asked) == storm.names, "each once"
    assert astray <= 4 * LIMITS[1], (
        "those under way overtake each other, and one goes first that the slow round looks at"
    )
    assert busy >= 0.75 * SLOTS, "no slot is idle while anything is due"
    assert took - stood <= 1.5 * jobs / SLOTS * usual, "1.2 where nobody else takes the machine"
    assert spread >= 0.98 * 6 * 60, "to be due is a derived share of six minutes; none is quite at an end of it"
    assert growth < 50


@pytest.mark.nightly
@pytest.mark.timeout(1200)
@pytest.mark.fault("F32")
def test_an_outage_across_every_expiry(storm_of, measured):
    gone = False
    crowd = Crowd(lambda _client: None if gone else HOUR, hosts=4)
    storm = storm_of(5000, crowd)
    storm.await_all()
    gone = True
    storm.hours_pass(2)
    began = time.monotonic()
    crowd.wait(lambda: time.monotonic() - began >= AWAY_S, "the outage is over", within=2 * AWAY_S)
    gone, failed, tried = False, len(crowd.asked) - storm.asked, len(crowd.counts(storm.asked))
    returned = time.monotonic()
    storm.await_all()
    lag = time.monotonic() - returned
    measured(
        f"away for {AWAY_S} s: {failed} requests of {tried} of 5000 jobs; all written {lag:.0f} s after its return"
    )
    assert storm.daemon.stop() == 0
    assert crowd.most("storm")[0] <= LIMITS[0]
    assert lag <= 5 * 60 + 30


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.fault("F33")
def test_the_cycle_after_a_storm_is_spread(storm_of, measured):
    life = 400
    crowd = Crowd(lambda _client: life, hosts=4)
    storm = storm_of(2000, crowd)
    storm.await_all()
    crowd.wait(lambda: len(crowd.counts(2000)) == 2000, "the second cycle", within=life)
    first, second = (sorted(one.at for one in part) for part in (crowd.asked[:2000], crowd.asked[2000:4000]))
    took, spread = first[-1] - first[0], second[-1] - second[0]
    measured(f"2000 tokens of {life} s, fetched within {took:.0f} s: fetched again within {spread:.0f} s")
    assert storm.daemon.stop() == 0
    assert crowd.most("storm")[1] <= LIMITS[1]
    assert spread >= life / 10
