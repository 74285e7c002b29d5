"""A node is cut off from PostgreSQL, Vault and its providers while the others go on; and comes back."""

import time

import pytest

from tests.e2e import crowd
from tests.e2e.apart import NETWORK, apart
from tests.e2e.fleet import Strict, fleet_of
from tests.e2e.havoc import Fault, deaths
from tests.e2e.site import REFRESHER, Site
from tests.servers.postgres import Postgres, new_base

pytestmark = [pytest.mark.e2e, pytest.mark.host, pytest.mark.timeout(300)]
LEASE, POLL = 14, 1  # PostgreSQL drops a node that it hears nothing of after 14 s
SLACK = 4.0
HANGING = [f"hanging-{number}" for number in range(6)]
SINGLE = [f"single-{number}" for number in range(8)]
HOUR, LIFE = 3600, 60


def enrol(site: Site, slow: Strict, strict: Strict) -> None:
    crowd.enrol(site, slow, HANGING)
    user = {"username": "canary-user", "password": site.secret("password", "canary-of-a-users-password")}
    for name in SINGLE:
        site.jobs[name] = {
            "provider": "semansys", "token_url": strict.urls[0], "client_id": name, "path": f"tokens/{name}",
            "client_secret": site.jobs[HANGING[0]]["client_secret"],
        } | user  # fmt: skip


def test_the_others_take_over_and_who_comes_back_does_no_harm(site: Site, mortal_postgres: Postgres, measured):
    site.bao.api("POST", f"{site.mount}/config", {"max_versions": 1000})
    slow, strict = Strict(lambda _: HOUR, latency=30), Strict(lambda _: LIFE, latency=0.1)
    base = new_base(mortal_postgres)
    mortal_postgres.admit(NETWORK)
    with apart() as away, slow.serving(), strict.serving(), fleet_of(site, base) as fleet:
        for host in fleet.hosts:
            host.tables["scheduler"]["postgres"] |= {"lease": f"{LEASE}s", "poll": f"{POLL}s"}
        enrol(site, slow, strict)
        fleet.open_to_all()
        fleet.install()
        first = fleet.start(0, *away.program, *REFRESHER)
        slow.wait(lambda: len(slow.asked) == len(HANGING), "it has those in its hands")
        strict.wait(lambda: len(strict.current) == len(SINGLE), "and has renewed these")
        others = [fleet.start(number) for number in (1, 2)]
        for other in others:
            other.wait_for("started", level="info")
        assert set(fleet.rows("picked")) >= set(HANGING)

        fault = Fault("cut off")
        away.pull()
        cut, asked = time.monotonic(), len(strict.asked)
        held = fleet.locked_by(0)
        assert held >= set(HANGING)
        fault.spent(fleet.spent_by(0))
        slow.latency = 0.05
        slow.wait(lambda: len(slow.asked) == 2 * len(HANGING), "the others ask for what it had")
        late = max(one.at for one in slow.asked) - cut
        strict.wait(lambda: len(strict.counts(asked)) == len(SINGLE), "the others renew these")
        away.put_back()
        fault.held(held)
        lasted = time.monotonic() - cut
        first.wait_for("scheduler_back", level="info")

        asked = len(strict.asked)
        for other in others:
            assert other.stop() == 0
        strict.wait(lambda: len(strict.counts(asked)) == len(SINGLE), "it renews all, alone")
        ended = time.time()
        assert first.stop() == 0
        assert fleet.rows("queued") == sorted(HANGING + SINGLE)
        dead = deaths(site, SINGLE, ended)
        measured(
            f"cut off for {lasted:.0f} s: the {len(HANGING)} jobs in its hands asked for by others within {late:.1f} s"
            f" (lease and poll: {LEASE + POLL} s), {len(SINGLE)} single-use ones renewed by them,"
            f" {len(dead)} expired, {len(strict.reused)} refresh tokens used again"
        )
        assert late <= LEASE + POLL + SLACK
        assert set(slow.counts().values()) == {2}, "nobody asks for them again once it is back"
        assert [one for one in dead if not fault.excuses(one)] == []
        assert strict.reused == []
        for provider, names in ((slow, HANGING), (strict, SINGLE)):
            for name in names:
                issued = [one["issued_at"] for one in site.history(f"tokens/{name}")]
                assert issued == sorted(issued), "nothing older was written over something newer"
                assert (site.token(name) or {})["access_token"] == provider.current[name][0]
