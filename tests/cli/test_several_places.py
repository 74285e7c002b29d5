"""What people see of a job of several destinations, of which one is behind."""

import pytest

from refresher.cli import _words, status
from refresher.core.errors import StoreRefusedError
from refresher.standing import row_of
from tests.core.builders import PLACE
from tests.rotation.stage import Stage, replaceable, token
from tests.rotation.test_fan_out import unwritable
from tests.rotation.test_ownership import SPARE


@pytest.fixture
async def ended():
    stage = Stage(token(1), job=replaceable(destinations=(PLACE, SPARE)))
    unwritable(stage, StoreRefusedError("denied", "the policy denies it", status=403), SPARE)
    return stage, await stage.rotate()


def test_a_line_says_where_it_is_and_where_it_is_not(ended):
    line = _words.outcome_line(ended[1])
    assert line.startswith(
        "crm: rotated (missing), secret/tokens/crm v1, secret/tokens/crm-spare lacks it (denied), expires"
    )


def test_a_table_has_a_row_for_each(ended, monkeypatch):
    stage, _ = ended
    monkeypatch.setenv("COLUMNS", "200")
    _, first, second = status._table([row_of(stage.charge, stage.clock.now(), "holder-1")])
    assert first.split()[:3] == ["crm", "oauth2", "retrying"]
    assert first.split()[-2:] == ["secret/tokens/crm", "1"]
    assert second.split() == ["secret/tokens/crm-spare", "denied"]
