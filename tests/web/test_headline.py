"""The page's one answer, and what of a fleet is in it."""

from dataclasses import replace

import pytest

from refresher.core.view import FleetView
from refresher.web.headline import headline
from tests.core.builders import NOW
from tests.core.test_view import WELL

DEAD = replace(WELL, alive=False)
ALL, GONE, AWAY = FleetView(alive=("a", "b")), FleetView(alive=("a",), gone=("b",)), FleetView(away=True)


@pytest.mark.parametrize(
    ("view", "fleet", "tone", "answer", "words"),
    [
        (WELL, None, "good", "All fresh", "1 job"),
        (WELL, ALL, "good", "All fresh", "1 job, 2 nodes"),
        (WELL, GONE, "busy", "A node is gone", "1 job, 1 of 2 nodes: b is gone"),
        (WELL, AWAY, "busy", "PostgreSQL is away", "PostgreSQL is away: what other nodes did is not known"),
        (DEAD, GONE, "bad", "1 needs you", "1 of 2 nodes: b is gone"),
    ],
)
def test_a_node_that_is_gone_is_told_of_but_never_before_a_reader(view, fleet, tone, answer, words):
    said = headline([view], NOW, {}, fleet)
    assert (said.tone, said.answer) == (tone, answer)
    assert said.details.endswith(words)
