"""The promise: whoever reads a path finds a live token, through rotations, restarts and outages."""

import json
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.e2e.waiting import await_requests
from tests.servers.provider import Provider

pytestmark = pytest.mark.e2e
KINDS = ("semansys", "smartdocumentor", "screening_eagle")


class Reader(threading.Thread):
    """Reads every path ten times a second, as the services downstream do, and counts what it finds."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site = site
        self.reads, self.expired, self.malformed = 0, [], []
        self.left = Counter()
        self._over = threading.Event()

    def run(self):
        while not self._over.is_set():
            began = time.monotonic()
            for job in self.site.jobs:
                self._read(job)
            self._over.wait(max(0.1 - (time.monotonic() - began), 0))

    def _read(self, job):
        asked = datetime.now(UTC)
        held = self.site.token(job)
        if held is None:
            return  # the daemon has not come to it yet; `first` below is when every path holds one
        self.reads += 1
        missing = {"access_token", "token_type", "expires_at", "expires_at_unix", "issued_at", "scope"} - held.keys()
        if missing or not held["access_token"].isprintable():
            self.malformed.append((job, missing))
        left = (datetime.fromisoformat(held["expires_at"]) - asked).total_seconds()
        if left <= 0:
            self.expired.append((job, left))

    def stop(self):
        self._over.set()
        self.join()


def twenty_jobs(site, provider_pool) -> list[Provider]:
    """Add twenty jobs at three real servers, their lifetimes from 10 to 60 s."""
    providers = [provider_pool(name) for name in KINDS]
    for number in range(20):
        site.add(f"job-{number:02}", providers[number % 3], ttl=10 + number * 50 // 19)
    return providers


@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=[pytest.mark.nightly, pytest.mark.timeout(700)])])
def test_a_reader_of_twenty_jobs_never_finds_a_dead_token(site, provider_pool, seconds, measured):
    providers = twenty_jobs(site, provider_pool)
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated", reason="missing")
        reader = Reader(site)
        reader.start()
        reader.join(seconds)  # it reads all the while
        reader.stop()
        assert daemon.stop() == 0

    rotations = len(daemon.lines("rotated"))
    measured(
        f"{reader.reads} reads of 20 paths in {seconds} s, {rotations} rotations: "
        f"{len(reader.expired)} expired, {len(reader.malformed)} malformed"
    )
    assert reader.reads > 20 * seconds
    assert not reader.expired
    assert not reader.malformed
    assert rotations > 10 + seconds
    assert not daemon.lines(level="error")
    assert sum(provider.stats().refresh_reused for provider in providers) == 0
    assert sum(provider.stats().total for provider in providers) == rotations, "one request a rotation, no more"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_fetches_nothing_that_is_not_due_and_misses_nothing(site, semansys, smartdocumentor, how):
    site.add("soon", semansys, ttl=20)
    site.add("later", smartdocumentor, ttl=3600)
    with site.daemon() as daemon:
        for _ in site.jobs:
            last = daemon.wait_for("rotated")
        daemon.stop(how)
    asked = semansys.stats().total + smartdocumentor.stats().total

    with site.daemon() as daemon:
        daemon.wait_for("started", jobs=2)
        assert semansys.stats().total + smartdocumentor.stats().total == asked, "nothing was due"
        # A kill between the telling and the journal's end has the same token written once more, which asks nobody.
        line = daemon.wait_for("rotated", job="soon", reason="due")
        assert line["grant"] == "refresh_token", "the refresh token outlived the daemon"
        assert daemon.stop() == 0
    assert last["expires_at"]
    assert not daemon.lines("expired")
    assert smartdocumentor.stats().total == 1


@pytest.mark.fault("F7")
@pytest.mark.timeout(180)
def test_openbao_away_for_thirty_seconds_across_an_expiry(raft_site, semansys, smartdocumentor, measured):
    site = raft_site
    for number in range(6):
        site.add(f"job-{number}", (semansys, smartdocumentor)[number % 2], ttl=12 + number)
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated", reason="missing")
        site.bao.stop()
        asked = semansys.stats().total + smartdocumentor.stats().total
        daemon.wait_for("store_failed", level="warning")
        time.sleep(30)  # the outage itself
        during = semansys.stats().total + smartdocumentor.stats().total - asked
        site.bao.start()
        back = time.monotonic()
        for _ in site.jobs:
            daemon.wait_for("rotated")
        healed = time.monotonic() - back
        assert daemon.stop() == 0
    story = [line for line in daemon.lines() if line["level"] != "debug" and line["event"] != "rotated"]
    measured(f"healed {healed:.1f} s after, {during} provider requests, {len(story)} lines told")
    assert healed < 30
    assert during <= 2 * len(site.jobs)
    assert semansys.stats().refresh_reused == 0
    assert len(story) <= 6, f"a few lines tell the story: {story}"
    assert [line["event"] for line in story if line["level"] != "info"].count("store_failed") == 1


@pytest.mark.fault("F35")
def test_one_wrong_secret_of_twenty_is_told_once_and_not_hammered(site, provider_pool):
    providers = twenty_jobs(site, provider_pool)
    bad = "job-01"
    site.jobs[bad]["client_secret"] = site.secret("wrong", site.canaries.plant("wrong secret"))
    with site.daemon() as daemon:
        for _ in range(19):
            daemon.wait_for("rotated", reason="missing")
        line = next(line for line in daemon.events if line["event"] == "latched")
        for _ in range(30):
            daemon.wait_for("rotated", reason="due")
        assert daemon.stop() == 0
    assert line["job"] == bad
    assert line["error"] == "invalid_client"
    assert len(daemon.lines(job=bad)) == 1, "told once"
    assert sum(provider.stats().of(f"{bad}-client").total for provider in providers) == 1, "asked once"
    assert not daemon.lines("expired")
    late = [
        after["timestamp"] > before["expires_at"]
        for job in site.jobs
        for before, after in pairwise(daemon.lines("rotated", job=job))
    ]
    assert late
    assert not any(late), "the nineteen are on time"


def test_a_mended_secret_opens_the_latch(site, smartdocumentor):
    site.add("api", smartdocumentor)
    right = (site.folder / "api.secret").read_text()
    site.secret("api", site.canaries.plant("wrong secret"))
    site.write()
    assert json.loads(site.run("once", "--json").stdout)["outcome"] == "rejected_permanent"
    site.secret("api", right)
    assert json.loads(site.run("once", "--json").stdout)["outcome"] == "rotated"


@pytest.mark.fault("F49")
def test_a_second_daemon_on_the_same_jobs_does_no_harm(site, smartdocumentor):
    site.add("api", smartdocumentor, ttl=12)
    site.write()
    with site.daemon() as one:
        one.wait_for("rotated")
        site.tables["state"]["dir"] = str(site.folder / "other-state")
        with site.daemon() as other:
            other.wait_for("started", jobs=1)
            reader = Reader(site)
            reader.start()
            versions = site.versions("api")
            while site.versions("api") < versions + 4:
                one.wait_until(lambda _: True)
            reader.stop()
            assert other.stop() == 0
        assert one.stop() == 0
    assert not reader.expired
    assert not [line for line in one.lines() + other.lines() if line["level"] in ("warning", "error") and "job" in line]


@pytest.mark.fault("F6")
def test_twenty_sigterms_end_it_once(site, smartdocumentor):
    site.add("api", smartdocumentor)
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        for _ in range(20):
            daemon.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert daemon.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 10
    assert [line["event"] for line in daemon.events][-1] == "stopped"
    assert not any("Traceback" in line for line in daemon.text)


@pytest.mark.fault("F5")
def test_a_daemon_asked_to_stop_finishes_the_rotation_under_way(site, semansys):
    site.add("api", semansys, ttl=3600)
    semansys.control(delay_ms=2000)
    with site.daemon() as daemon:
        await_requests(semansys, 1)
        assert daemon.stop() == 0
    assert semansys.accepts(site.token("api")["access_token"])
    assert site.read("refresher/default/api")["refresh_token"]
