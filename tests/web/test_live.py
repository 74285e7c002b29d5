"""What changed since the revision that a page shows."""

from dataclasses import replace
from datetime import timedelta

from refresher.web.live import Changes
from tests.core.builders import NOW
from tests.core.test_view import WELL

ONE, TWO = replace(WELL, name="one"), replace(WELL, name="two")


def test_only_what_is_new_changed():
    changes = Changes()
    changes.look([ONE, TWO], whole=True)
    shown = changes.revision
    assert changes.since(0) == ["one", "two"]
    assert changes.renamed(0)
    changes.look([ONE, TWO], whole=True)
    assert changes.revision == shown
    changes.look([replace(ONE, failures=1)], whole=False)
    assert (changes.since(shown), changes.renamed(shown)) == (["one"], False)
    assert changes.since(changes.revision) == []


def test_a_job_that_came_or_went():
    changes = Changes()
    changes.look([ONE], whole=True)
    shown = changes.revision
    changes.look([ONE, TWO], whole=True)
    assert (changes.since(shown), changes.renamed(shown)) == (["two"], True)
    shown = changes.revision
    changes.look([TWO], whole=True)
    assert (changes.since(shown), changes.renamed(shown)) == ([], True)


def test_time_that_passes_changes_nothing():
    changes = Changes()
    due = replace(ONE, state="due", renew_at=NOW)
    changes.look([due], whole=True)
    shown = changes.revision
    changes.look([replace(due, renew_at=NOW + timedelta(seconds=1), due_since=NOW)], whole=True)
    assert changes.since(shown) == []


def test_each_process_has_revisions_of_its_own():
    assert Changes().boot != Changes().boot
