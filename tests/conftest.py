"""Fixtures for every folder of tests."""

from collections.abc import Iterator

import pytest

from tests.guards import events
from tests.guards.canaries import Canaries

pytest_plugins = ("tests.servers.providers", "tests.servers.no_skips", "tests.servers.openbao")


@pytest.fixture
def canaries() -> Canaries:
    """Plants secrets and looks for them; see tests/guards/canaries.py."""
    return Canaries()


@pytest.fixture(autouse=True)
def _documented_events() -> Iterator[None]:
    """Every event that refresher's own code makes in any test is one that docs/reference/events.md promises."""
    with events.watched() as broken:
        yield
    assert not broken, f"docs/reference/events.md does not say so: {sorted(broken)}"
