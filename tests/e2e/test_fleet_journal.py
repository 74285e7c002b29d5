"""A node that is killed between journal and Vault comes back, at once or after another has gone on in its place."""

import sys
from pathlib import Path

import pytest

from tests.e2e.fleet import Strict, fleet_of
from tests.e2e.site import RECORD, Site
from tests.e2e.waiting import await_stopped
from tests.servers.postgres import Base

pytestmark = [pytest.mark.e2e, pytest.mark.fault("F50"), pytest.mark.timeout(240)]
NAMES = [f"job-{number}" for number in range(6)]
LIFE = 20
FROZEN = (sys.executable, str(Path(__file__).with_name("frozen.py")), str(len(NAMES)))


@pytest.mark.nightly
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "after-another"])
def test_what_its_journal_holds_is_replayed_by_check_and_set(site: Site, base: Base, measured, *, late: bool):
    provider = Strict(lambda _: LIFE, latency=0.05)

    def is_newest(name: str) -> bool:
        """Whether Vault holds the pair that was issued last."""
        token, record = site.token(name) or {}, site.read(RECORD + name) or {}
        return (token.get("access_token"), record.get("refresh_token")) == provider.current[name]

    with provider.serving(), fleet_of(site, base) as fleet:
        fleet.enrol(provider, NAMES)
        first = fleet.start(0, *FROZEN)
        await_stopped(first.process.pid)
        held = dict(provider.current)
        assert set(provider.counts().values()) == {2}
        assert not any(map(is_newest, NAMES)), "its answers are in its journal, and nowhere else"
        other = fleet.start(1)
        other.wait_for("started", level="info")
        first.kill()
        if late:
            for _ in NAMES:
                other.wait_for("rotated", within=60, reason="grant_unknown")
            assert not [name for name in NAMES if provider.current[name] == held[name]]
        again = fleet.start(0)
        again.wait_for("started", level="info")
        if not late:
            provider.wait(lambda: all(map(is_newest, NAMES)), "the newest pairs are in Vault")
            assert {name: provider.current[name] for name in NAMES} == held, "which nobody had to ask for again"
        asked = len(provider.asked)
        provider.wait(lambda: len(provider.counts(asked)) == len(NAMES), "each goes on from there")
        provider.wait(lambda: all(map(is_newest, NAMES)), "and is written")
        for life in (other, again):
            assert life.stop() == 0
        newest = list(filter(is_newest, NAMES))
        told = [line for life in fleet.lives for line in life.lines("grant_unknown", level="error")]
        measured(
            f"killed with {len(NAMES)} answers in its journal, back {'after another went on' if late else 'at once'}:"
            f" {len(newest)} newest pairs in Vault, {len(told)} grants unknown,"
            f" {len(provider.reused)} refresh tokens used again"
        )
        assert newest == NAMES
        assert len(told) == (len(NAMES) if late else 0)
        assert provider.reused == []
        for name in NAMES:
            issued = [one["issued_at"] for one in site.history(f"tokens/{name}")]
            generations = [int(one["generation"]) for one in site.history(RECORD + name)]
            assert issued == sorted(issued), "nothing older was written over something newer"
            assert generations == sorted(generations)
            tokens = [one["access_token"] for one in site.history(f"tokens/{name}")]
            assert (held[name][0] in tokens) == (not late)
