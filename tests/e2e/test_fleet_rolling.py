"""A fleet is upgraded, drained and held to a provider's limit while it works: real nodes, a real PostgreSQL."""

import sys
import time

import pytest

from tests.e2e.crowd import enrol
from tests.e2e.fleet import Strict, fleet_of
from tests.e2e.site import Daemon, Site
from tests.servers.postgres import Base

pytestmark = pytest.mark.e2e
HOUR = 3600
NEWER = """
import sys, refresher
from refresher.scheduler import schema
refresher.__version__, schema.VERSION, schema.OLDEST = "0.1.9", schema.VERSION + 1, {oldest}
schema.OWN += "ALTER TABLE {{schema}}.refresher_jobs ADD COLUMN IF NOT EXISTS later text;"
from refresher.cli import main
sys.exit(main())
"""
COMPATIBLE = (sys.executable, "-c", NEWER.format(oldest="schema.OLDEST"))
BREAKING = (sys.executable, "-c", NEWER.format(oldest="schema.OLDEST + 1"))


def refused(host: Site, program: tuple[str, ...] = (sys.executable, "-m", "refresher")) -> str:
    """Start a node that is not to start; return why it did not."""
    life = Daemon(host, program)
    try:
        why = life.wait_for("stopped", level="error", within=60)["why"]
        assert life.process.wait(timeout=60) == 69
        assert [line["level"] for line in life.lines(level="error")] == ["error"], "one line"
        return why
    finally:
        life.kill()


@pytest.mark.nightly
def test_nodes_of_two_releases_run_side_by_side_and_each_knows_what_it_can_not_use(site: Site, base: Base):
    provider = Strict(lambda _: HOUR, latency=0.05)
    with provider.serving(), fleet_of(site, base) as fleet:
        enrol(site, provider, ["job-1", "job-2"])
        fleet.open_to_all()
        fleet.install()
        old = [fleet.start(number) for number in (0, 1)]
        for life in old:
            life.wait_for("started", level="info", within=60)
        why = refused(fleet.hosts[2], COMPATIBLE)
        assert why.endswith("and this is 0.1.9: run refresher cluster upgrade")

        upgrade = ("cluster", "upgrade", "--dsn", base.owner)
        assert fleet.hosts[2].run(*upgrade, program=COMPATIBLE).returncode == 0
        new = Daemon(fleet.hosts[2], COMPATIBLE)
        fleet.lives.append(new)
        new.wait_for("started", level="info", within=60)
        for number, host in enumerate(fleet.hosts):
            assert host.run("rotate", f"job-{number % 2 + 1}").returncode in (0, 1)
            assert "halted (cooldown)" in host.run("rotate", f"job-{number % 2 + 1}").stdout
        versions = {line.split()[3] for line in site.run("cluster", "nodes").stdout.splitlines()[1:4]}
        assert len(versions) == 2
        assert "0.1.9" in versions
        assert not [line for life in fleet.lives for line in life.lines("scheduler_away")], "nobody was kept from it"

        assert fleet.hosts[2].run(*upgrade, program=BREAKING).returncode == 0
        assert old[1].stop() == 0
        why = refused(fleet.hosts[1])
        assert why.endswith("which can't use it: install 0.1.9 or newer here")


def test_a_drained_node_finishes_what_it_asks_and_another_has_the_rest_at_once(site: Site, base: Base, measured):
    names, at_once = [f"job-{number}" for number in range(12)], 2
    slow = Strict(lambda _: HOUR, latency=4)
    with slow.serving(), fleet_of(site, base) as fleet:
        enrol(site, slow, names)
        fleet.open_to_all()
        site.tables["limits"] = {"per_host": at_once, "total": at_once}
        fleet.install()
        first = fleet.start(0)
        slow.wait(lambda: len(slow.asked) >= at_once, "as many are asked for as may be at once")
        slow.wait(lambda: {*names} <= {*fleet.rows("picked"), *slow.counts()}, "the first has all in hand, or had")
        second = fleet.start(1)
        second.wait_for("started", level="info", within=60)
        mine = {one.client for one in slow.asked}
        slow.latency = 0.05
        ended = time.monotonic()
        assert first.stop() == 0
        slow.wait(lambda: len(slow.counts()) == len(names), "the second asks for the rest")
        late = max(one.at for one in slow.asked) - ended
        measured(
            f"SIGTERM: the {len(names) - len(mine)} jobs that were not asked for yet were so by another in {late:.1f} s"
        )
        slow.wait(lambda: fleet.rows("queued") == sorted(names), "all are back in the table")
        assert all(site.token(name) for name in names), "what was asked for is written"
        assert set(slow.counts().values()) == {1}, "and nothing asked for twice"
        assert slow.reused == []
        assert late < 5


@pytest.mark.parametrize("limit", [3, pytest.param(0, marks=pytest.mark.nightly)])
def test_a_provider_is_asked_by_so_many_at_once_in_the_whole_fleet(site: Site, base: Base, limit: int):
    """Without the limit, which is the ablation, each node asks by as many as it may itself."""
    names = [f"job-{number}" for number in range(24)]
    provider = Strict(lambda _: HOUR, latency=0.3)
    with provider.serving(), fleet_of(site, base) as fleet:
        enrol(site, provider, names)
        fleet.open_to_all()
        for host in fleet.hosts:
            host.tables["scheduler"]["postgres"]["per_provider"] = {"oauth2": limit} if limit else {}
        fleet.install()
        nodes = [fleet.start(number) for number in range(3)]
        provider.wait(lambda: len(provider.counts()) == len(names), "all are asked for", within=90)
        busiest = provider.most("job")[1]
        for node in nodes:
            node.wait_for("started", level="info", within=60)
            assert node.stop() == 0
        assert set(provider.counts().values()) == {1}
        assert busiest == limit if limit else busiest > 3, busiest
