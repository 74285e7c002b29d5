"""A daemon's life under faults in virtual time: what it must come to, and that it comes to the same again."""

import os
import subprocess
import sys

import pytest

from tests.simulation.account import Account, Span
from tests.simulation.faults import PLAIN, Faults
from tests.simulation.picture import draw
from tests.simulation.run import simulate
from tests.simulation.world import Plan

SHORT = Plan(days=0.1, jobs=10, seed=7)


def figures(report) -> str:
    return "; ".join(" ".join(line.split()) for line in str(report).splitlines())


@pytest.mark.fault("F7", "F25", "F26", "F27", "F32", "F33", "F34")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_under_faults(seed, measured):
    report = simulate(Plan(days=1, jobs=30, seed=seed))
    measured(figures(report))
    assert report.wrong == []
    assert report.written > 30 * 24
    assert report.requests > report.granted, "something went wrong now and then"
    assert report.lives > 1


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.fault("F7", "F25", "F26", "F27", "F32", "F33", "F34")
@pytest.mark.parametrize("seed", range(11, 19))
def test_two_days_under_faults(seed, measured):
    report = simulate(Plan(days=2, jobs=100, seed=seed))
    measured(figures(report))
    assert report.wrong == []


@pytest.mark.nightly
@pytest.mark.timeout(4 * 3600)
@pytest.mark.fault("F7", "F25", "F26", "F27", "F32", "F33", "F34")
def test_thirty_days_of_five_hundred_jobs(measured):
    report = simulate(Plan(days=30, jobs=500, seed=1))
    measured(figures(report))
    assert report.wrong == []
    assert report.written > 400_000


@pytest.mark.nightly
@pytest.mark.timeout(8 * 3600)
@pytest.mark.fault("F32", "F33")
def test_a_day_of_a_hundred_thousand_jobs(measured):
    report = simulate(Plan(days=1, jobs=100_000, seed=1, faults=PLAIN))
    measured(figures(report))
    assert report.wrong == []


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_is_the_same_story_in_another_process(hash_seed, tmp_path):
    here: list[str] = []
    simulate(SHORT, tail=here.append)
    told = tmp_path / "trace"
    words = ["--days", str(SHORT.days), "--jobs", str(SHORT.jobs), "--seed", str(SHORT.seed), "--trace", str(told)]
    subprocess.run(
        [sys.executable, "-m", "tests.simulation", *words],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.DEVNULL,
        timeout=100,
    )
    assert told.read_text().splitlines(keepends=True) == here
    assert len(here) > 50


def test_another_seed_is_another_story():
    stories = {simulate(Plan(days=SHORT.days, jobs=SHORT.jobs, seed=seed)).trace for seed in (7, 7, 8)}
    assert len(stories) == 2


def test_the_picture_shows_the_figures():
    report = simulate(SHORT)
    picture = draw(report)
    assert picture.startswith("<svg ")
    for text in ("verdict: good", f">{report.written:,}<", f">{report.per_job_hour:.2f}<", "outside 0"):
        assert text in picture


def account(*spans: Span, expired: tuple[float, float], failures: tuple[float, ...] = ()) -> Account:
    one = Account(spans=list(spans), expired=[("a", *expired)])
    one.failures["a"] += failures
    return one


LONG, SHORTER = Span("vault", 1000, 3000), Span("vault", 1000, 1400)


@pytest.mark.parametrize(
    ("case", "seconds"),
    [
        (account(expired=(100, 130)), (0, 0, 30)),
        (account(SHORTER, expired=(1100, 1200)), (0, 0, 100)),
        (account(LONG, expired=(2000, 3100)), (1000, 100, 0)),
        (account(LONG, expired=(2000, 3500)), (1000, 360, 140)),
        (account(LONG, expired=(2000, 3500), failures=(3300.0,)), (1000, 500, 0)),
        (account(Span("host b", 1000, 3000), expired=(2000, 2100)), (0, 0, 100)),
        (account(Span("host h", 1000, 3000), expired=(2000, 2100)), (100, 0, 0)),
        (account(SHORTER, Span("job a", 1500, 1900), expired=(1800, 1900)), (100, 0, 0)),
        (account(SHORTER, Span("job a", 1800, 2200), expired=(2100, 2200)), (0, 0, 100)),
    ],
)
def test_expired_seconds_are_reckoned_by_what_was_declared(case, seconds):
    expired = case.reckon(600, {"a": "h"})
    assert (expired.during, expired.after, expired.outside) == seconds


@pytest.mark.parametrize("word", ["nothing=1", "lost", "lost=x", "lost=-1", "lost=inf", "lost=nan"])
def test_a_fault_that_is_none_is_refused_in_one_line(word):
    with pytest.raises(ValueError, match=r"^--fault "):
        Faults().changed([word])


def test_all_faults_can_be_taken_away():
    report = simulate(Plan(days=0.3, jobs=10, faults=Faults().changed(["all=0"])))
    assert report.wrong == []
    assert report.requests == report.granted == report.written
    assert report.lives == 1
