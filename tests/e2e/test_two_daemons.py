"""Two daemons on the same jobs: one spends, the other waits; and a reader who looks all the time finds a live token."""

import math
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.site import Daemon, Site
from tests.e2e.waiting import await_requests, await_stopped
from tests.servers.provider import Provider

pytestmark = pytest.mark.e2e
TTL = 30  # due after some 18 s: a daemon that is killed then has 10 s to come back
LEASE = 30
VISIBLE_S = 1.0  # Vault dates a version when it begins to write it; readers find it a little later
RECORD = "refresher/default/"


@dataclass(frozen=True)
class Call:
    """A reader's call of the provider's API, with what it found in Vault just before."""

    job: str
    read_at: float
    called_at: float
    ok: bool


class Reader:
    """Reads every path and calls the API behind it with what it finds, all the time while the context lasts."""

    def __init__(self, site: Site, providers: dict[str, Provider]) -> None:
        self.calls: list[Call] = []
        self._site = site
        self._providers = providers
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._end.wait(0.1):
            for job, provider in self._providers.items():
                read_at, found = time.time(), self._site.token(job)
                ok = found is not None and provider.accepts(found["access_token"])
                self.calls.append(Call(job, read_at, time.time(), ok))


class Twin:
    """One of the two daemons, on a host of its own: it is killed, and comes back at once."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lives = [Daemon(site)]

    def killed(self) -> None:
        self.lives[-1].kill()
        self.lives.append(Daemon(self.site))
        self.lives[-1].wait_for("started", within=2 * LEASE, level="info")


class House:
    """Both daemons, and jobs of three kinds; `jealous` ones have a provider whose new token kills the old one."""

    def __init__(self, hosts: tuple[Site, Site], semansys: Provider, node_oauth2: Provider) -> None:
        self.hosts, self.site = hosts, hosts[0]
        self.providers: dict[str, Provider] = {}
        self.twins: list[Twin] = []
        for number in (1, 2, 3):
            self._add(f"refreshing-{number}", semansys, jealous=True)
        for number in (1, 2):
            self._add(f"jealous-{number}", node_oauth2, jealous=True)
            self._add(f"plain-{number}", node_oauth2, jealous=False)
        for host in hosts:
            host.write()

    def _add(self, name: str, provider: Provider, *, jealous: bool) -> None:
        self.site.add(name, provider, ttl=TTL + len(self.providers), revokes_previous=jealous)
        self.providers[name] = provider
        provider.control(delay_ms=150)

    @property
    def irreplaceable(self) -> list[str]:
        return [job for job in self.providers if not job.startswith("plain")]

    def start(self) -> None:
        """Start one, and the other once each job has its first token."""
        self.twins.append(Twin(self.hosts[0]))
        for _ in self.providers:
            self.twins[0].lives[0].wait_for("rotated")
        self.twins.append(Twin(self.hosts[1]))
        self.twins[1].lives[0].wait_for("started", level="info")

    def close(self) -> None:
        for life in (life for twin in self.twins for life in twin.lives):
            life.kill()
            self.site.outputs.append("".join(life.text))

    def lines(self, **fields: str):
        return [line for twin in self.twins for life in twin.lives for line in life.lines(**fields)]

    def versions(self) -> int:
        return sum(map(self.site.versions, self.providers))

    def await_request(self) -> None:
        """Return once one more request has come to a provider."""
        before, ends = self._requests(), time.monotonic() + LEASE
        while self._requests() == before:
            assert time.monotonic() < ends, "no request came"
            time.sleep(0.05)

    def _requests(self) -> int:
        return sum(provider.stats().total for provider in {id(one): one for one in self.providers.values()}.values())

    def await_written(self) -> None:
        """Return once a token was written after the last that may have been issued, for each job."""
        ends = time.monotonic() + 2 * LEASE
        while any(math.inf in self.gaps(job) for job in self.providers):
            assert time.monotonic() < ends, "what was issued last is not in Vault"
            time.sleep(0.2)

    def gaps(self, job: str) -> dict[float, list[float]]:
        """Return when tokens were asked for that may have been issued, by when the next one was written."""
        gaps: dict[float, list[float]] = {}
        written = self.site.written_at(f"tokens/{job}")
        for line in self.providers[job].stats().of(self.site.jobs[job]["client_id"]).log:
            if line.outcome in ("200", "abandoned"):
                after = next((one for one in written if one >= line.at), math.inf)
                gaps.setdefault(after, []).append(line.at)
        return gaps

    def second_spenders(self, job: str) -> tuple[int, int]:
        """Return how many grants were spent in a cycle besides its first, and how many of them nobody can answer for.

        Who is killed after the new refresh token is in the state record, and before the token is at its path, has done
        with the grant: whoever looks next finds an old token, and spends the next grant.
        """
        path = RECORD + job
        kept = [
            at
            for at, one in zip(self.site.written_at(path), self.site.history(path), strict=True)
            if one["phase"] == "idle"
        ]
        pairs = [pair for asked in self.gaps(job).values() for pair in pairwise(sorted(asked))]
        return len(pairs), sum(1 for first, second in pairs if not any(first < at < second for at in kept))


@pytest.fixture
def twins(site):
    """Two hosts on which nothing runs yet. The mount keeps every version."""
    site.bao.api("POST", f"{site.mount}/config", {"max_versions": 10_000})
    return site, site.twin("other")


@pytest.fixture
def house(twins, semansys, node_oauth2):
    house = House(twins, semansys, node_oauth2)
    yield house
    house.close()


@pytest.mark.fault("F49")
@pytest.mark.parametrize(  # the nearest limit counts: one on the function would be that of both
    "cycles",
    [
        pytest.param(20, marks=pytest.mark.timeout(180)),
        pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)]),
    ],
)
def test_kills_at_random(house, semansys, cycles, measured):
    chance = random.Random(cycles)  # noqa: S311  # the same story each time
    house.start()
    before, kills = house.versions(), 0
    with Reader(house.site, house.providers) as reader:
        while house.versions() < before + cycles:
            house.await_request()
            time.sleep(chance.uniform(0, 0.3))
            chance.choice(house.twins).killed()
            kills += 1
            house.await_written()
            time.sleep(chance.uniform(0, 1))
        house.await_written()
    assert [twin.lives[-1].stop() for twin in house.twins] == [0, 0]

    gaps = {job: house.gaps(job) for job in house.providers}
    told = Counter(line["job"] for line in house.lines() if line["event"] == "grant_unknown")
    refused = [call for call in reader.calls if not call.ok]
    longest = max(written - min(asked) for job in house.irreplaceable for written, asked in gaps[job].items())
    measured(f"{house.versions() - before} cycles, {kills} kills, {told.total()} grants unknown")
    measured(
        f"{len(reader.calls)} calls of a reader, {len(refused)} refused, "
        f"all while a new token was on its way ({longest:.1f} s at most)"
    )
    seconds = {job: house.second_spenders(job) for job in house.irreplaceable}
    more, unanswered = (sum(numbers) for numbers in zip(*seconds.values(), strict=True))
    measured(f"{more} grants spent before the token of the one before was at its path, {unanswered} of them unanswered")
    for call in refused:
        assert call.job in house.irreplaceable, "nothing kills a token of the others"
        spans = [(min(asked), written + VISIBLE_S) for written, asked in gaps[call.job].items()]
        near = [
            (began - call.read_at, ended - call.read_at) for began, ended in spans if abs(ended - call.read_at) < LEASE
        ]
        assert any(began <= call.called_at and call.read_at <= ended for began, ended in spans), f"{call}: {near}"
    for job, (_, unsure) in seconds.items():
        assert unsure <= told[job], f"{job}: two spenders of one grant, and nobody said that it is unknown"
    assert semansys.stats().refresh_reused == 0
    assert {line["event"] for line in house.lines(level="error")} <= {"grant_unknown"}


@pytest.mark.fault("F50")
@pytest.mark.timeout(180)
def test_a_holder_that_dies_is_followed_within_a_lease(twins, semansys, measured):
    site, other = twins
    site.add("api", semansys, ttl=8)
    for one in twins:
        one.write()
    with site.daemon() as first, other.daemon() as second:
        first.wait_until(lambda line: line["event"] in ("started", "rotated"))
        second.wait_for("started", level="info")
        semansys.control(delay_ms=60_000)
        await_requests(semansys, semansys.stats().total + 1)
        record = site.read(RECORD + "api")
        assert record["phase"] == "spending"
        dies, lives = (first, second) if record["holder"] == site.holder else (second, first)
        dies.kill()
        began = time.time()
        semansys.control(delay_ms=0)
        told = lives.wait_for("grant_unknown", within=2 * LEASE)
        assert told["holder"] == record["holder"]
        line = lives.wait_for("rotated")
        took = datetime.fromisoformat(line["timestamp"]).timestamp() - began
        assert (line["grant"], line["reason"]) == ("password", "grant_unknown")
        assert lives.stop() == 0
    measured(f"taken over {took:.1f} s after the holder's death")
    assert took <= LEASE + 5
    assert semansys.stats().refresh_reused == 0


@pytest.mark.fault("F51")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("jobs", [3, pytest.param(100, marks=pytest.mark.nightly)])
def test_a_holder_that_was_frozen_past_its_lease_overwrites_nothing(twins, semansys, jobs, measured):
    site, other = twins
    names = [f"job-{number}" for number in range(jobs)]
    for name in names:
        site.add(name, semansys, ttl=12)
    for host in twins:
        host.tables["limits"] = {"per_host": jobs, "total": 2 * jobs}  # a quarter is for other hosts
    with site.daemon(sys.executable, str(Path(__file__).with_name("frozen.py")), str(jobs)) as frozen:
        await_stopped(frozen.process.pid)
        nonces = {name: site.read(RECORD + name)["nonce"] for name in names}
        with other.daemon() as taker:
            for _ in names:
                taker.wait_for("rotated", within=2 * LEASE, reason="grant_unknown")
            frozen.process.send_signal(signal.SIGCONT)
            refused = {frozen.wait_for("refused", error="cas")["path"] for _ in range(2 * jobs)}
            assert taker.stop() == 0
        for _ in names:
            frozen.wait_until(lambda line: line["event"] == "rotated" and line["grant"] == "refresh_token")
        assert frozen.stop() == 0
    paths = [path for name in names for path in (RECORD + name, f"tokens/{name}")]
    assert refused == {f"{site.mount}/{path}" for path in paths}, "each late write was tried, and refused"
    for name in names:
        records = site.history(RECORD + name)
        last = max(index for index, one in enumerate(records) if one["nonce"] == nonces[name])
        assert records[last]["phase"] == "spending", "its intent was the last word of the frozen holder"
        generations = [int(one["generation"]) for one in records]
        assert generations == sorted(generations)
        issued = [one["issued_at"] for one in site.history(f"tokens/{name}")]
        assert issued == sorted(issued), "nothing older was written over something newer"
    assert semansys.stats().refresh_reused == 0
    said = {line["event"] for line in frozen.lines(level="error")}
    assert said <= {"expired"}, "as it did, where nobody else looked after its jobs"
    measured(f"{len(refused)} late writes of {jobs} jobs were refused, none landed")
