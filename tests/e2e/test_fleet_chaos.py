"""A fleet with single-use refresh tokens while everything goes wrong: nothing is lost, and no token is used twice.

The order is the seed's. Each run prints a table of what was done and of what it cost (tests/e2e/havoc.py).
"""

import random
import time

import pytest

from tests.e2e.cable import cable_to
from tests.e2e.fleet import Strict, fleet_of
from tests.e2e.havoc import Havoc, deaths
from tests.e2e.site import Site
from tests.servers.postgres import Postgres, new_base

pytestmark = [pytest.mark.e2e, pytest.mark.fault("F48")]


def survived(site: Site, server: Postgres, measured, *, seed: int, jobs: int, lives: range, nightly: bool) -> None:
    base = new_base(server)
    choice = random.Random(seed)  # noqa: S311  # no secret
    seconds = {f"job-{number:03}": choice.choice(lives) for number in range(jobs)}
    provider = Strict(seconds.__getitem__, latency=0.4 if nightly else 0.1)  # a kill is to hit some of them
    vault = int(site.bao.address.rpartition(":")[2])
    with provider.serving(), cable_to(vault, server.port) as cable, fleet_of(site, base) as fleet:
        far = fleet.hosts[-1]
        far.tables["vault"]["address"] = f"http://127.0.0.1:{cable.ports[vault]}"
        there = far.tables["scheduler"]["postgres"]
        there["dsn"] = base.node.replace(str(server.port), str(cable.ports[server.port]))
        names = list(seconds)
        fleet.enrol(provider, names)
        havoc = Havoc(fleet, cable, seed, away=12 if nightly else 4, freeze=15 if nightly else 4)
        provider.wait(lambda: len(provider.current) == jobs, "every job has a token", within=100)
        provider.wait(lambda: all(map(site.token, names)), "and it is in Vault")
        began = time.monotonic()
        deeds = [havoc.kill_9, havoc.frozen, havoc.cut_off, havoc.crash_of_PostgreSQL]
        if nightly:
            deeds += [havoc.kill_9, havoc.kill_9, havoc.half_of_the_connections, havoc.drain, havoc.rolling_restart]
        havoc.random.shuffle(deeds)
        for deed in deeds:
            havoc.do(deed)
            time.sleep(8 if nightly else 0)
        asked = len(provider.asked)
        provider.wait(lambda: len(provider.counts(asked)) == jobs, "every job is renewed once more", within=150)
        ended = time.time()
        for node in havoc.nodes:
            assert node.stop() == 0
        dead = deaths(site, names, ended)
        lines = [line for life in fleet.lives for line in life.lines("grant_unknown", level="error")]
        rows = [name for status in ("queued", "picked") for name in fleet.rows(status)]
        every = int(base.sql("SELECT count(*) FROM refresher.pgqueuer"))
        for line in havoc.table(dead):
            measured(f"seed {seed}: {line}")
        measured(
            f"seed {seed}: {jobs} jobs, {len(provider.asked)} requests in {time.monotonic() - began:.0f} s,"
            f" {len(provider.reused)} refresh tokens used again, {len(lines)} grants declared unknown,"
            f" {every} rows at the end, {len(fleet.rows('picked'))} of them not given back"
        )
        assert sorted(rows) == names, "one row for each job, whatever happened"
        assert every == len(names)
        assert provider.reused == [], "no replay is declared for these jobs: after an unknown grant comes the full one"
        assert (more := havoc.undeclared(dead)) == [], "\n".join(more)
        for name in names:
            held = site.token(name)
            assert held is not None
            assert held["access_token"] == provider.current[name][0], f"{name}: what was issued last is not there"
        site.canaries.planted |= {
            f"{name} {number}": one for name in names for number, one in enumerate(provider.current[name])
        }
        site.canaries.check(server.dump(base.name))


def test_a_short_one(site: Site, mortal_postgres: Postgres, measured):
    survived(site, mortal_postgres, measured, seed=1, jobs=32, lives=range(24, 36), nightly=False)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(1, 6))
def test_nightly(site: Site, mortal_postgres: Postgres, measured, seed: int):
    survived(site, mortal_postgres, measured, seed=seed, jobs=400, lives=range(25, 46), nightly=True)
