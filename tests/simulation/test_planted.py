"""The simulation catches bugs: each is planted, and the verdict turns bad; without it the same story ends well."""

import pytest

from tests.simulation.faults import Faults
from tests.simulation.planted import NAMES, planted
from tests.simulation.run import simulate
from tests.simulation.world import Plan

HARMLESS = ("bell",)  # the sweep makes up for it
CASES = {
    "wake-up": ({"days": 1, "jobs": 40}, (), "expired-seconds outside"),
    "retry-after": ({"days": 0.4, "jobs": 20}, ("throttled=0.05",), "sooner than Retry-After"),
    "unknown": ({"days": 0.4, "jobs": 20}, ("lost=0.05",), "sent again"),
    "journal": ({"days": 0.4, "jobs": 20}, ("vault_error=0.02",), "refresh tokens lost"),
    "hurry": ({"days": 0.2, "jobs": 20}, (), "times the nominal"),
}


def test_every_bug_is_planted_here():
    assert set(NAMES) == {*CASES, *HARMLESS}


@pytest.mark.parametrize("name", CASES)
def test_a_planted_bug_is_caught(name):
    size, faults, caught = CASES[name]
    plan = {"seed": 1, "faults": Faults().changed(faults), **size}
    wrong = simulate(Plan(plant=name, **plan)).wrong
    assert any(caught in one for one in wrong), wrong
    assert simulate(Plan(**plan)).wrong == []


def test_a_bell_that_forgets_one_in_a_thousand_costs_no_token():
    assert simulate(Plan(plant="bell", days=0.3, jobs=30)).wrong == []


def test_a_bug_of_another_name_is_refused():
    with pytest.raises(ValueError, match=r"^--plant nothing: there are bell, "):
        planted("nothing")
