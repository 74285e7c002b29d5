"""Providers that say later, or are not there at all: nobody is asked before time, and nobody else is late."""

import time
from datetime import datetime
from itertools import pairwise

import pytest

from tests.web.stage import free_port

pytestmark = pytest.mark.e2e
GOOD = ("good-1", "good-2", "good-3")
WAIT_S, LONG_S = 10, 3600
LATE_S = 6.0  # a loaded machine; the bell itself rings within milliseconds


@pytest.mark.fault("F34", "F36", "F37")
@pytest.mark.timeout(180)
def test_each_wait_is_kept_over_a_restart_and_the_hosts_other_jobs_are_on_time(site, smartdocumentor, measured):
    for job in (*GOOD, "short", "long", "down"):
        site.add(job, smartdocumentor, ttl=12)
    for job, wait in (("short", WAIT_S), ("long", LONG_S)):
        smartdocumentor.control(client=f"{job}-client", fail={"status": 429, "times": 1, "retry_after": wait})
    site.jobs["down"]["token_url"] = f"http://127.0.0.1:{free_port()}/token"
    with site.daemon() as first:
        told = {first.wait_until(lambda line: "retry_after" in line)["job"] for _ in range(2)}
        began = time.time()
        while len(first.lines("rotated")) < len(GOOD) or len(first.lines(job="down")) < 3:  # the ledger has it by then
            first.wait_until(lambda _: True)
        first.kill()
    with site.daemon() as second:
        second.wait_for("rotated", job="short", within=2 * WAIT_S)
        after = time.time()
        while min(len(second.lines("rotated", job=job)) for job in GOOD) < 3 or time.time() < began + 2 * WAIT_S:
            second.wait_until(lambda _: True)
        assert second.stop() == 0

    lines = first.lines() + second.lines()
    of = smartdocumentor.stats().of
    refused, granted = (line.at for line in of("short-client").log[:2])
    assert told == {"short", "long"}
    assert WAIT_S <= granted - refused <= WAIT_S + LATE_S, "not before, and soon after"
    assert after - began < WAIT_S + 2 * LATE_S
    assert of("long-client").total == 1, "not one before the hour is over"
    waits = [at(one["renew_at"]) - at(one["timestamp"]) for one in lines if one.get("retry_after") == LONG_S]
    assert [LONG_S - 2 <= wait <= LONG_S + 1 for wait in waits] == [True]
    margins = [
        at(before["expires_at"]) - at(after["timestamp"])
        for job in GOOD
        for daemon in (first, second)  # between the two nobody looked after them
        for before, after in pairwise(daemon.lines("rotated", job=job))
    ]
    assert len(margins) >= 2 * len(GOOD)
    assert min(margins) > 0, "the others of that host are on time"
    refusals = [one for one in lines if one.get("job") == "down" and one.get("error") == "transport"]
    tries = [at(one["timestamp"]) for one in refusals]
    planned = [at(one["renew_at"]) - at(one["timestamp"]) for one in refusals]
    pauses = [after - before for before, after in pairwise(tries)]
    measured(f"asked again {granted - refused:.1f} s after a wait of {WAIT_S} s, over a kill")
    measured(
        f"of a wait of {LONG_S} s: no request in {time.time() - began:.0f} s, the next planned {waits[0]:.0f} s after"
    )
    measured(f"{len(margins)} renewals of the host's others, the closest {min(margins):.1f} s before expiry")
    measured(
        f"a refused port: {len(tries)} tries in {tries[-1] - tries[0]:.0f} s, pauses {[round(p, 1) for p in pauses]}"
    )
    counts = [one["failures"] for one in lines if one.get("job") == "down" and "failures" in one]
    assert len(tries) >= 5
    assert counts[-1] >= len(counts) - 1, "a restart does not begin anew; the kill may come before the ledger has one"
    assert planned[-1] >= 4 * planned[0]
    assert [one["level"] for one in lines if one["event"] == "failing" and one.get("job") == "down"] == ["warning"]


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
