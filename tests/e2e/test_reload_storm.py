"""jobs.toml is changed again and again under a daemon that rotates all the while: SIGHUP on SIGHUP."""

import random
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise

import pytest

from tests.e2e.crowd import Crowd, enrol

pytestmark = pytest.mark.e2e
LIFE = 12
DUE_AFTER = 6.8  # seconds after it was issued no token of that life is renewed sooner


@contextmanager
def hangups(daemon, change):
    """Have the daemon read its file again after each `change`, as fast as it can; yield how often it did."""
    count, over = Counter(), threading.Event()

    def work():
        while not over.is_set():
            before = len(daemon.lines("reloaded", "reload_refused"))
            change(count["reloads"])
            daemon.process.send_signal(signal.SIGHUP)
            count["reloads"] += 1
            ends = time.monotonic() + 30
            while len(daemon.lines("reloaded", "reload_refused")) == before and time.monotonic() < ends:
                over.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(900)
@pytest.mark.fault("F53")
@pytest.mark.parametrize(
    ("jobs", "reloads"), [(60, 25), pytest.param(1000, 100, marks=pytest.mark.nightly)], ids=["60", "1000"]
)
def test_jobs_come_go_and_are_renamed_while_they_rotate(site, measured, jobs, reloads):
    """A third stays as it is; of a third one in nine comes or goes at each reload; a third is renamed at each."""
    life = LIFE if jobs < 100 else 10 * LIFE
    crowd = Crowd(lambda _client: life, hosts=4, latency=0.2)
    stay, go, move = ([f"{kind}-{number:03}" for number in range(jobs // 3)] for kind in ("stay", "go", "move"))
    chance = random.Random(7)  # noqa: S311  # the same changes at each run

    def write(number: int) -> None:
        here = [name for name in go if number == 0 or chance.random() > 1 / 9]
        site.jobs.clear()
        enrol(site, crowd, [*stay, *here])
        for name in move:
            former = {"moved_from": f"{name}.{number - 1}"} if number else {}
            enrol(site, crowd, [name], **former)
            site.jobs[f"{name}.{number}"] = site.jobs.pop(name)
        site.write()

    with crowd.serving():
        write(0)
        with site.daemon() as daemon:
            daemon.wait_for("started")
            crowd.wait(lambda: len(crowd.counts()) == 3 * (jobs // 3), "a first token for each", within=120)
            began = time.monotonic()
            with hangups(daemon, lambda number: write(number + 1)) as count:
                crowd.wait(lambda: count["reloads"] >= reloads, "so many reloads", within=600)
                crowd.wait(lambda: time.monotonic() - began > 1.2 * life, "a life of each token has passed", within=600)
            lasted = time.monotonic() - began
            asked = len(crowd.asked)
            crowd.wait(
                lambda: set(crowd.counts(asked)) >= {*stay, *move}, "all that stayed are asked for still", within=life
            )
            assert daemon.stop() == 0
    told = Counter(line["event"] for line in daemon.lines())
    written = {name: site.written_at(f"tokens/{name}") for name in stay}
    pauses = [after - before for at in written.values() for before, after in pairwise(at)]
    measured(
        f"{told['reloaded']} reloads of {jobs} jobs in {lasted:.0f} s, {len(crowd.asked)} requests of 0.2 s meanwhile:"
        f" no expiry, no job twice, the longest pause between two tokens {max(pauses):.1f} of {life} s"
    )
    assert told["reloaded"] >= reloads
    assert not daemon.lines(level="error"), "no refusal, no expiry"
    assert told["rotation_rejected"] == told["store_failed"] == told["expiring"] == 0, "no rotation is broken off"
    issued = [[datetime.fromisoformat(one["issued_at"]) for one in site.history(f"tokens/{name}")] for name in stay]
    shortest = min((after - before).total_seconds() for at in issued for before, after in pairwise(at))
    assert shortest >= DUE_AFTER / LIFE * life - 1, "none twice"
    assert max(pauses) < life, "none lost"
    site.jobs = {name: site.jobs[name] for name in stay[:3]}


@pytest.mark.timeout(600)
@pytest.mark.fault("F54")
@pytest.mark.parametrize("reloads", [40, pytest.param(200, marks=pytest.mark.nightly)])
def test_a_file_that_is_replaced_all_the_time_is_one_or_the_other(site, measured, reloads):
    """Two files of 60 jobs, each of which is another client in the other one, take each other's place by rename."""
    crowd = Crowd(lambda _client: 3600, hosts=4, latency=0)
    names = [f"job-{number:02}" for number in range(60)]
    texts = []
    with crowd.serving():
        for side in ("even", "odd"):
            site.jobs.clear()
            enrol(site, crowd, names)
            for name, table in site.jobs.items():
                table |= {"client_id": f"{side}-{name}", "renew_before": "15m" if side == "even" else "14m"}
            site.write()
            texts.append(site.config.read_bytes())
        over, turns = threading.Event(), Counter()

        def replace_for_ever() -> None:
            draft = site.config.with_suffix(".next")
            while not over.is_set():
                draft.touch(mode=0o600)
                draft.write_bytes(texts[turns["files"] % 2])
                draft.rename(site.config)
                turns["files"] += 1

        with site.daemon() as daemon:
            daemon.wait_for("started")
            thread = threading.Thread(target=replace_for_ever)
            thread.start()
            try:
                for _ in range(reloads):
                    before = len(daemon.lines("reloaded", "reload_refused"))
                    daemon.process.send_signal(signal.SIGHUP)
                    crowd.wait(lambda: len(daemon.lines("reloaded", "reload_refused")) > before, "a reload")  # noqa: B023  # at once
            finally:
                over.set()
                thread.join()
            assert daemon.stop() == 0
    changed = Counter(line["changed"] for line in daemon.lines("reloaded"))
    measured(f"{reloads} reloads while the file was replaced {turns['files']} times: {dict(changed)} jobs changed")
    assert not daemon.lines("reload_refused")
    assert set(changed) <= {0, len(names)}, "never a mixture"
    assert changed[len(names)] >= reloads / 10
    site.jobs.clear()
