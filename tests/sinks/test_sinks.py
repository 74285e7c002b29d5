"""Sinks tell and never steer."""

from collections.abc import Iterator

import pytest
import structlog

from refresher.core.events import Event, Level
from refresher.sinks import Fanout
from refresher.sinks.log import LogSink


class Memory:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


class Broken:
    def tell(self, event: Event) -> None:
        raise BrokenPipeError(event.name)


def test_all_are_told_whatever_one_of_them_raises() -> None:
    first, last = Memory(), Memory()
    fanout = Fanout(first, Broken(), last, Broken())
    events = [Event(name="rotated", job="crm"), Event(name="stopped")]
    for event in events:
        fanout.tell(event)
    assert first.events == last.events == events
    assert fanout.dropped == 4


@pytest.fixture
def written() -> Iterator[list[tuple[str, dict[str, object]]]]:
    """What structlog is given: the method and the members, in order."""
    told: list[tuple[str, dict[str, object]]] = []

    def keep(_logger: object, method: str, members: dict[str, object]) -> dict[str, object]:
        told.append((method, members))
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger("debug"))
    yield told
    structlog.reset_defaults()


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_an_event_is_one_line_with_its_fields(written: list, level: Level) -> None:
    LogSink().tell(Event(name="rotated", level=level, job="crm", fields={"version": 3, "path": ("a", "b")}))
    assert written == [(level, {"event": "rotated", "job": "crm", "version": 3, "path": ("a", "b")})]
