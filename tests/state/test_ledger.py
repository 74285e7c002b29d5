"""The ledger: what it keeps over a restart, and that nothing that happens to its file is in anybody's way."""

import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core import remembered
from refresher.core.outcome import Outcome
from refresher.core.policy import Trouble
from refresher.core.remembered import Attempted, Remembered
from refresher.state import ledger, tables
from refresher.state.ledger import Ledger, Reader
from refresher.state.tables import path_of
from tests.core.builders import NOW, PLACE

TROUBLE = Trouble(
    kind="permanent", error="invalid_client", status=401, count=3, since=NOW, retry_at=NOW, credential="c"
)
KEPT = Remembered(
    attempted=Attempted(at=NOW, outcome="rejected_permanent", error="invalid_client"),
    latch=TROUBLE,
    trouble=replace(TROUBLE, kind="transient", retry_at=None),
    refused="abc",
    fetched_at=NOW,
    unchanged=True,
)
ENDED = Outcome(
    job="crm",
    outcome="rejected_permanent",
    reason="due",
    error="invalid_client",
    http_status=401,
    expires_at=NOW,
    places=(PLACE,),
    versions=(3,),
    duration_ms=12,
)


def write(folder, *outcomes, kept=KEPT):
    book = Ledger(folder, "default")
    for number, ended in enumerate(outcomes):
        book.note(ended, NOW + timedelta(minutes=number), kept)
    book.close()
    return book


def rows(folder, **wanted):
    return list(ledger.history(path_of(folder, "default"), **{"job": None, "since": None} | wanted))


def test_what_a_restart_must_not_forget_comes_back(tmp_path):
    write(tmp_path, ENDED)
    book = Ledger(tmp_path, "default")
    assert book.recall("crm") == KEPT
    assert book.recall("other") is None
    book.close()
    assert Reader(tmp_path, "default").recall("crm") == KEPT
    assert Ledger(tmp_path, "another instance").recall("crm") is None


@given(
    st.builds(
        Remembered,
        latch=st.one_of(st.none(), st.just(TROUBLE)),
        refused=st.text(max_size=12),
        fetched_at=st.one_of(st.none(), st.just(NOW)),
        unchanged=st.booleans(),
    )
)
def test_all_that_is_remembered_survives_its_text(kept):
    assert remembered.read(remembered.written(kept)) == kept


@given(st.one_of(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str)))
def test_a_text_that_is_none_of_ours_is_nothing(text):
    assert remembered.read(text) is None


def test_the_history_has_every_attempt_and_no_idle_walk(tmp_path):
    fresh = replace(ENDED, outcome="fresh", error=None)
    write(tmp_path, ENDED, fresh, replace(ENDED, job="erp"))
    assert [(row.job, row.error, row.path, row.version, row.duration_ms) for row in rows(tmp_path)] == [
        ("crm", "invalid_client", "secret/tokens/crm", 3, 12),
        ("erp", "invalid_client", "secret/tokens/crm", 3, 12),
    ]
    assert [row.job for row in rows(tmp_path, job="erp")] == ["erp"]
    assert rows(tmp_path, since=NOW + timedelta(minutes=3)) == []
    assert rows(tmp_path / "nowhere") == []


def test_old_attempts_go(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "PRUNE_EVERY", 1)
    now = datetime.now(UTC)
    for at in (now - timedelta(days=31), now):
        book = Ledger(tmp_path, "default")
        book.note(ENDED, at, KEPT)
        book.close()
    assert [row.at for row in rows(tmp_path)] == [now.timestamp()]
    monkeypatch.setattr(tables, "MOST", 5)
    write(tmp_path, *[ENDED] * 9)
    assert len(rows(tmp_path)) <= 9


@pytest.mark.parametrize("off", [timedelta(days=3650), -timedelta(days=3650)])
def test_a_clock_that_was_wrong_for_one_attempt_costs_no_other(tmp_path, monkeypatch, off):
    monkeypatch.setattr(ledger, "PRUNE_EVERY", 1)
    now = datetime.now(UTC)
    right = [now - timedelta(days=2), now - timedelta(hours=1), now]
    for at in (right[0], now + off, *right[1:]):
        book = Ledger(tmp_path, "default")
        book.note(ENDED, at, KEPT)
        book.close()
    assert {at.timestamp() for at in right} <= {row.at for row in rows(tmp_path)}


def test_two_processes_write_at_once(tmp_path):
    books = [Ledger(tmp_path, "default") for _ in range(2)]
    for _ in range(200):
        for book in books:
            book.note(ENDED, NOW, KEPT)
    for book in books:
        book.close()
    assert len(rows(tmp_path)) == 400
    assert [book.dropped for book in books] == [0, 0]


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0garbage", b"\0" * 5000, b"no database at all" * 99])
def test_a_file_that_is_no_ledger_is_set_aside_and_begun_anew(tmp_path, damage):
    path = path_of(tmp_path, "default")
    path.write_bytes(damage)
    book = write(tmp_path, ENDED)
    assert len(rows(tmp_path)) == 1
    if damage:
        assert "begin anew" in book.warning
        assert path.with_suffix(".unreadable").read_bytes() == damage


@pytest.mark.fault("F57")
def test_a_ledger_of_another_version_is_set_aside(tmp_path):
    write(tmp_path, ENDED)
    with sqlite3.connect(path_of(tmp_path, "default")) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "begin anew" in write(tmp_path, ENDED).warning
    assert len(rows(tmp_path)) == 1


@pytest.mark.fault("F57")
@pytest.mark.parametrize("times", [100, pytest.param(10_000, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])])
def test_flipped_bits_crash_nobody(tmp_path, times):
    write(tmp_path, *[replace(ENDED, job=f"job-{number}") for number in range(50)])
    path = path_of(tmp_path, "default")
    whole, chance = path.read_bytes(), Random(1)  # noqa: S311  # the same damage at each run
    for _ in range(times):
        spoiled = bytearray(whole)
        for _ in range(chance.randrange(1, 9)):
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
        path.write_bytes(spoiled)
        book = write(tmp_path, ENDED)
        recalled = [Reader(tmp_path, "default").recall(f"job-{number}") for number in range(50)]
        assert all(one is None or isinstance(one, Remembered) for one in recalled)
        assert book.dropped <= 1


@pytest.mark.fault("F55")
def test_a_directory_that_takes_nothing_stops_nobody(tmp_path):
    book = write(tmp_path / "missing", ENDED)
    assert book.dropped == 1
    assert book.recall("crm") is None


@pytest.mark.leak("L27")
def test_its_file_is_private(tmp_path):
    write(tmp_path, ENDED)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_what_comes_close_together_is_committed_together(tmp_path, monkeypatch):
    batches = []

    def insert(database, batch, real=tables.insert):
        batches.append(len(batch))
        real(database, batch)

    monkeypatch.setattr(tables, "insert", insert)
    monkeypatch.setattr(ledger, "GATHER_S", 30)  # the end of the daemon does not wait for it
    book = Ledger(tmp_path, "default")
    book.note(ENDED, NOW, KEPT)
    while not book._items.empty():  # the writer has the first, and waits for more
        time.sleep(0.01)
    time.sleep(0.1)  # for one that does not wait to write it
    for number in range(1, 10):
        book.note(ENDED, NOW + timedelta(minutes=number), KEPT)
    book.close()
    assert batches == [10]
    assert len(rows(tmp_path)) == 10


def test_an_instance_of_several_words_has_a_ledger(tmp_path):
    tables.connect(path_of(tmp_path, "eu/blue")).close()
    tables.read_only(path_of(tmp_path, "eu/blue")).close()
    assert [file.name for file in tmp_path.iterdir()] == ["ledger-eu+blue.sqlite3"]
