"""What a rotation costs in things that can be counted, held to bounds: the same on any machine, however busy.

A bound that breaks says that the path has grown by a tenth: mend it, or raise the bound and say why.
"""

from collections.abc import Mapping

import pytest

from bench import counts
from refresher.delivery import Delivery

CALLS = 760  # of Python functions, in a rotation, by CPython 3.11


# Of the module: a test's own fixtures look at each event, and their calls would count.
@pytest.fixture(scope="module")
def counted() -> Mapping[str, float]:
    return counts.counted()


@pytest.fixture(scope="module")
def again() -> Mapping[str, float]:
    return counts.counted()


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ("token_requests", 1),
        ("vault_writes", 1),
        ("vault_reads", 0),
        ("vault_other", 0),
        ("log_lines", 1),
        ("looks", 1),
    ],
)
def test_a_rotation_in_steady_state_asks_and_writes_once_and_reads_nothing(
    counted: Mapping[str, float], what: str, count: int
) -> None:
    assert counted[what] == count


def test_a_rotation_takes_no_more_calls_than_it_did(counted: Mapping[str, float]) -> None:
    assert 0 < counted["python_calls"] <= CALLS


def test_the_calls_are_the_same_in_every_run(counted: Mapping[str, float], again: Mapping[str, float]) -> None:
    assert again["python_calls"] == pytest.approx(counted["python_calls"], rel=0.02)


def test_one_more_read_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = Delivery.deliver

    async def look_first(self, charge, token, places, **more):
        await self._look.at(charge)
        return await deliver(self, charge, token, places, **more)

    monkeypatch.setattr(Delivery, "deliver", look_first)
    seen = counts.counted()
    assert seen["vault_reads"] == 1
    assert seen["python_calls"] > CALLS
