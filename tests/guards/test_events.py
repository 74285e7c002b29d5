"""Every event is documented, and every documented event exists."""

from typing import get_args

from refresher.core import outcome
from refresher.core.events import EventName
from refresher.core.model import Location
from refresher.host import log
from tests.core.builders import a_job
from tests.fakes.clock import START
from tests.guards import events


def test_the_page_names_every_event_and_no_other() -> None:
    assert list(events.events()) == list(get_args(EventName))


def test_the_page_names_every_line_of_the_logs_own() -> None:
    own = {log.LIBRARY_MESSAGE, log.UNEXPECTED, log.LOG_DROPPED, log.LOG_FAULT}
    assert set(events.events("The log's own lines")) == own


def test_every_field_is_explained_and_belongs_to_an_event() -> None:
    used = {field for promise in events.events().values() for field in promise.fields}
    assert used == events.fields()


def test_a_field_or_level_that_is_not_promised_is_caught(monkeypatch) -> None:
    place = Location(mount="secret", path="tokens/crm")
    with events.watched() as broken:
        outcome.deleted_early(a_job(), place, START)
    assert broken == set()
    without = {"store_failed": events.Promise(frozenset({"info"}), frozenset({"error", "path", "why"}))}
    monkeypatch.setattr(events, "events", lambda: without)
    with events.watched() as broken:
        outcome.deleted_early(a_job(), place, START)
    assert broken == {
        "refresher.core.outcome: store_failed: deletion_time",
        "refresher.core.outcome: store_failed: error",
    }
