"""The table and the last sentence."""

from datetime import timedelta

import pytest
from rich.console import Console

from refresher.core.events import Event
from refresher.demo.board import Board
from refresher.demo.reader import Seen
from refresher.demo.run import verdict
from refresher.demo.stage import CLIENTS
from tests.fakes.clock import START

LATER = START + timedelta(seconds=3.5)


def drawn(board: Board, seen: dict[str, Seen]) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(board.table(seen, LATER))
    return capture.get().splitlines()


def test_the_table_shows_each_job_within_80_columns() -> None:
    board, seen = Board(CLIENTS), {name: Seen() for name in CLIENTS}
    first, second, *rest = CLIENTS
    seen[first] = Seen(version=12345, issued_at=START, expires_at=START + timedelta(seconds=14), reads=1)
    board.tell(Event(name="rotated", job=first))
    board.tell(Event(name="rotation_rejected", job=second))
    board.tell(Event(name="foreign_change", job=rest[0]))  # the longest
    board.tell(Event(name="started"))
    lines = drawn(board, seen)
    assert lines[0].split() == ["job", "state", "version", "life", "left", "last", "rotation"]
    bar = next(word for word in lines[1].split() if word.startswith("\u2501"))
    assert len(bar) == 11  # 10.5 s of 14 s, of 14 characters
    assert lines[1].split() == [first, "fresh", "12345", bar, "10.5", "s", "4", "s", "ago"]
    assert lines[2].split() == [second, "rejected", "-", "-", "-"]
    assert lines[3].split()[1] == "foreign_change"
    assert [line.split() for line in lines[4:]] == [[name, "waiting", "-", "-", "-"] for name in rest[1:]]


def test_the_table_follows_the_events() -> None:
    board = Board(["crm"])
    states = []
    for name in ("rotated", "failing", "recovered", "latched", "rotated"):
        board.tell(Event(name=name, job="crm"))
        states.append(drawn(board, {"crm": Seen()})[1].split()[1])
    assert states == ["fresh", "failing", "fresh", "latched", "fresh"]
    assert board.rotations == 2


@pytest.mark.parametrize(
    ("seen", "sentence", "well"),
    [
        (
            [Seen(reads=66, least=timedelta(seconds=3.21)), Seen(reads=33, least=timedelta(seconds=9))],
            "7 rotations in 61 s; of 99 reads of 2 paths none found an expired token (the least life left was 3.2 s).",
            True,
        ),
        (
            [Seen(reads=600, dead=2, least=timedelta())],
            "7 rotations in 61 s; of 600 reads of 1 paths 2 found an expired token (the least life left was 0.0 s).",
            False,
        ),
        ([Seen()], "7 rotations in 61 s; of 0 reads of 1 paths none found an expired token.", True),
    ],
)
def test_the_last_sentence(seen: list[Seen], sentence: str, well: bool) -> None:  # noqa: FBT001  # a parameter's value
    assert verdict(7, dict(enumerate(seen)), timedelta(seconds=60.7)) == (sentence, well)
