"""A fleet with single-use refresh tokens while everything goes wrong: nothing is lost, and no token is used twice.

What is done, in an order that the seed says: kill -9 of a node, a freeze, a crash of PostgreSQL, half of its
connections cut, a drain, a rolling restart. Each run prints a line.
"""

import random
import signal
import time

import pytest

from tests.e2e.fleet import LEASE, Fleet, Strict, fleet_of
from tests.e2e.site import Site
from tests.servers.postgres import Postgres, new_base

pytestmark = pytest.mark.e2e
NODES = 3


class Chaos:
    """One run. `deeds` are what can be done; each returns once it is over."""

    def __init__(self, fleet: Fleet, server: Postgres, seed: int, *, freeze: float) -> None:
        self.fleet, self.server, self.freeze = fleet, server, freeze
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.nodes = [fleet.start(number) for number in range(NODES)]
        self.done: list[str] = []
        self.deeds = [self.kill, self.freeze_one, self.crash, self.cut, self.drain, self.roll]

    def one(self) -> int:
        return self.random.randrange(NODES)

    def again(self, number: int) -> None:
        self.nodes[number] = self.fleet.start(number)
        self.nodes[number].wait_for("started", level="info", within=60)

    def kill(self) -> None:
        number = self.one()
        self.nodes[number].kill()
        self.again(number)

    def freeze_one(self) -> None:
        process = self.nodes[self.one()].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(self.freeze)
        process.send_signal(signal.SIGCONT)

    def crash(self) -> None:
        self.server.stop(signal.SIGQUIT)
        time.sleep(1)
        self.server.start()

    def cut(self) -> None:
        for _ in range(2):
            self.fleet.base.sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name LIKE 'refresher %' AND random() < 0.5"
            )
            time.sleep(1)

    def drain(self) -> None:
        number = self.one()
        assert self.nodes[number].stop() == 0
        self.again(number)

    def roll(self) -> None:
        for number in range(NODES):
            assert self.nodes[number].stop() == 0
            self.again(number)


def enrol(fleet: Fleet, provider: Strict, jobs: int) -> list[str]:
    site = fleet.site
    secrets = {"client_secret": site.secret("client", "canary-of-a-client-secret")}
    secrets["password"] = site.secret("password", "canary-of-a-users-password")
    for number in range(jobs):
        name = f"job-{number:03}"
        site.jobs[name] = {
            "provider": "semansys", "token_url": provider.urls[0], "client_id": name, "username": "canary-user",
            "path": f"tokens/{name}",
        } | secrets  # fmt: skip
    fleet.open_to_all()
    fleet.install()
    return list(site.jobs)


def survived(site: Site, server: Postgres, measured, *, seed: int, jobs: int, lives: range, pause: float) -> None:
    base = new_base(server)
    choice = random.Random(seed)  # noqa: S311  # no secret
    seconds = {f"job-{number:03}": choice.choice(lives) for number in range(jobs)}
    provider = Strict(seconds.__getitem__, latency=0.1)
    with provider.serving(), fleet_of(site, base) as fleet:
        names = enrol(fleet, provider, jobs)
        chaos = Chaos(fleet, server, seed, freeze=LEASE + 2 if pause else 0)
        provider.wait(lambda: len(provider.current) == jobs, "every job has a token", within=100)
        began = time.monotonic()
        chaos.random.shuffle(chaos.deeds)
        for deed in chaos.deeds if pause else (chaos.kill, chaos.crash):
            deed()
            time.sleep(pause)
        asked = len(provider.asked)
        provider.wait(lambda: len(provider.counts(asked)) == jobs, "every job is renewed once more", within=150)
        for node in chaos.nodes:
            assert node.stop() == 0
        lines = [line for life in fleet.lives for line in life.lines()]
        unknown = [line for line in lines if line["event"] == "grant_unknown" and line["level"] == "error"]
        expired = [line for line in lines if line["event"] == "expired"]
        measured(
            f"seed {seed}: {jobs} jobs, {len(provider.asked)} requests in {time.monotonic() - began:.0f} s,"
            f" {len(provider.reused)} refresh tokens used again, {len(unknown)} declared unknown,"
            f" {len(expired)} told of as expired, {len(fleet.rows('queued'))} rows"
        )
        assert fleet.rows("queued") == names
        assert len(provider.reused) <= len(unknown), "a replay that nobody declared"
        for name in names:
            held = site.token(name)
            assert held is not None
            assert held["access_token"] == provider.current[name][0], f"{name}: what was issued last is not there"
        site.canaries.planted |= {
            f"{name} {number}": one for name in names for number, one in enumerate(provider.current[name])
        }
        site.canaries.check(server.dump(base.name))


def test_a_short_one(site: Site, mortal_postgres: Postgres, measured):
    survived(site, mortal_postgres, measured, seed=1, jobs=16, lives=range(12, 18), pause=0)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 6))
def test_nightly(site: Site, mortal_postgres: Postgres, measured, seed: int):
    survived(site, mortal_postgres, measured, seed=seed, jobs=400, lives=range(25, 46), pause=8)
