"""What somebody does at Vault while the daemon runs is named at the next write, and nothing stops before its expiry."""

import signal
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

pytestmark = pytest.mark.e2e
NAMED_S = 60
STRANGE_S = 50  # a stranger's token is honoured until 30 s before its end


def put_by_hand(site, job: str) -> str:
    ends = datetime.now(UTC) + timedelta(seconds=STRANGE_S)
    data = {"access_token": "BY-HAND", "expires_at": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    site.bao.api("POST", f"{site.mount}/data/tokens/{job}", {"data": data})
    return data["expires_at"]


@pytest.mark.fault("F22")
@pytest.mark.timeout(180)
def test_each_is_named_at_the_next_write_and_nothing_stops(site, semansys, smartdocumentor, measured):
    """At once: the mount deletes after an hour, a token is put by hand, metadata deleted, the policy shrinks."""
    for job in ("kept", "deleted", "good-1", "good-2"):
        site.add(job, semansys, ttl=10)
    for job in ("by-hand", "denied"):
        site.add(job, smartdocumentor, ttl=10)
    site.add("long", semansys, ttl=7200)
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated", reason="missing")
        began = time.monotonic()
        site.bao.api("POST", f"{site.mount}/config", {"delete_version_after": "1h"})
        ends = put_by_hand(site, "by-hand")
        site.bao.api("DELETE", f"{site.mount}/metadata/tokens/deleted")
        site.jobs["long"]["scope"] = ["read"]
        site.write()
        site.allow(site.config, but="tokens/denied")
        daemon.process.send_signal(signal.SIGHUP)  # it is asked for anew, so that it has a next write

        def named(event: str, job: str, **fields: object) -> float:
            while not (found := [one for one in daemon.lines(event, job=job) if fields.items() <= one.items()]):
                daemon.wait_until(lambda _: True, within=NAMED_S)
            assert (found[0]["level"], len(found)) == ("error", 1), "told once"
            return time.monotonic() - began

        record, path = f"{site.mount}/refresher/default/", f"{site.mount}/tokens/"
        took = {
            "a token that will be deleted early": named(
                "store_failed", "long", error="deleted_early", path=f"{path}long"
            ),
            "a record that will be deleted": named("store_failed", "kept", error="deleted_early", path=f"{record}kept"),
            "a token by hand": named("foreign_change", "by-hand", honoured_until=ends),
            "deleted metadata": named("foreign_change", "deleted", error="deleted"),
            "a shrunk policy": named("store_failed", "denied", error="denied"),
        }
        assert site.token("by-hand")["access_token"] == "BY-HAND", "honoured"
        site.allow(site.config)
        daemon.wait_for("recovered", job="denied", within=NAMED_S)
        while not daemon.lines("rotated", job="by-hand")[1:]:
            daemon.wait_until(lambda _: True, within=NAMED_S)
        assert daemon.stop() == 0
    measured("named after: " + ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took.items()))
    assert max(took.values()) < NAMED_S
    assert {line["job"] for line in daemon.lines("expired")} <= {"denied"}, "which could not be written"
    late = [
        after["timestamp"] >= before["expires_at"]
        for job in ("kept", "deleted", "good-1", "good-2")
        for before, after in pairwise(daemon.lines("rotated", job=job))
    ]
    assert len(late) >= 4
    assert not any(late), "the others are on time"
    assert not daemon.lines(job="good-1", level="warning")
    assert semansys.stats().refresh_reused == 0


@pytest.mark.fault("F18")
def test_a_token_whose_parent_is_revoked_is_told_of_and_its_successor_taken_up(site, smartdocumentor, measured):
    """A login by AppRole has no parent to lose: its token is an orphan. One that is given has whatever made it."""

    def child() -> tuple[str, str]:
        parent = site.bao.api("POST", "auth/token/create", {"policies": ["root"], "ttl": "1h"})["auth"]["client_token"]
        made = {"policies": [site.role], "no_default_policy": True, "ttl": "1h"}
        auth = site.bao.api("POST", "auth/token/create", made, token=type(site.bao.root_token)(parent))["auth"]
        return parent, auth["client_token"]

    parent, token = child()
    site.tables["vault"]["auth"] = {"method": "token", "token": site.secret("vault-token", token)}
    for number in range(3):
        site.add(f"job-{number}", smartdocumentor, ttl=12)
    with site.daemon() as daemon:
        for _ in site.jobs:
            daemon.wait_for("rotated", reason="missing")
        site.bao.api("POST", "auth/token/revoke", {"token": parent})
        revoked = time.monotonic()
        told = daemon.wait_for("store_failed", level="error")
        took = time.monotonic() - revoked
        _, token = child()
        site.secret("vault-token", token)
        mended = time.monotonic()
        for _ in site.jobs:
            daemon.wait_for("rotated")
        healed = time.monotonic() - mended
        assert daemon.stop() == 0
    measured(f"told {took:.1f} s after, by the first write; all written {healed:.1f} s after a new token was there")
    assert told["error"] == "login"
    assert healed < 10
    assert not any("Traceback" in line for line in daemon.text)
