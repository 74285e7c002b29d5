"""Ten thousand jobs under one real daemon, one of which gets replies that cost all that a reply can cost."""

import time
from collections import defaultdict
from datetime import datetime

import pytest

from tests.e2e.crowd import Crowd, enrol

pytestmark = [pytest.mark.e2e, pytest.mark.nightly, pytest.mark.fault("F62")]
JOBS, SHORT, LIFE = 10_000, 300, 30
PERCENTS = b"a=" + b"%41" * 340_000  # of the bodies that are read whole the one that costs most
REPLIES = 6  # which come ever more seldom
WINDOW_S = 40  # in which each short job is due twice, with the costly replies and without


def p99(late: list[float]) -> float:
    return sorted(late)[len(late) * 99 // 100]


@pytest.mark.timeout(1800)
def test_the_others_are_on_time(site, measured):
    """Of the others three hundred have tokens of half a minute; it is they who come due.

    The same daemon without the costly replies is what their lateness is held to: a machine that is busy is late by
    itself.
    """
    names = [f"job-{number:05}" for number in range(JOBS - 1)]
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PERCENTS), PERCENTS)
    lives = dict.fromkeys(names, 3600) | dict.fromkeys(names[:SHORT], LIFE)
    poisonous, replies = False, 0

    def answer(name: str) -> int | bytes:
        nonlocal replies
        if name != "bad":
            return lives[name]
        replies += poisonous
        return reply if poisonous else LIFE

    crowd = Crowd(answer, hosts=4)
    with crowd.serving():
        enrol(site, crowd, [*names, "bad"])
        with site.daemon() as daemon:
            crowd.wait(lambda: len(crowd.asked) >= JOBS and len(crowd.counts()) == JOBS, "a first token", within=900)
            asked = len(crowd.asked)  # the first token for each went before the next one for some
            crowd.wait(lambda: crowd.counts(asked).keys() >= set(names[:SHORT]), "they are on time again", within=120)
            without = time.time()
            time.sleep(WINDOW_S)
            poisonous, began = True, time.time()
            crowd.wait(lambda: replies >= REPLIES, "so many replies", within=300)
            time.sleep(max(began + WINDOW_S - time.time(), 0))
            ended = time.time()
            time.sleep(LIFE / 2)  # what was due may be late
            assert daemon.stop() == 0
    due: dict[str, list[float]] = defaultdict(list)
    for line in daemon.lines("rotated"):
        due[line["job"]].append(datetime.fromisoformat(line["renew_at"]).timestamp())
    late: dict[bool, list[float]] = {False: [], True: []}
    apart = time.time() - time.monotonic()
    for name in names[:SHORT]:
        asked_at = [one.at + apart for one in crowd.of(name)][1:]
        for number, when in enumerate(due[name]):
            if without <= when < ended:
                at = asked_at[number] if number < len(asked_at) else ended + LIFE
                late[when >= began].append(at - when)
    usual, worst = p99(late[False]), p99(late[True])
    measured(
        f"{JOBS} jobs, {replies} costly replies in {ended - began:.0f} s: 99 % of {len(late[True])} renewals late by"
        f" at most {worst:.2f} s, {usual:.2f} s without (up to a second of each is rounding; {len(late[False])})"
    )
    assert len(daemon.lines("rotation_rejected", job="bad")) >= 1
    assert min(map(len, late.values())) >= SHORT
    assert worst - usual <= 1
    site.jobs = {name: site.jobs[name] for name in names[:3]}
