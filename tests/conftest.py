"""Fixtures for every folder of tests."""

from collections.abc import Iterator

import pytest

from tests.guards import events
from tests.guards.canaries import Canaries

pytest_plugins = (
    "tests.servers.providers",
    "tests.servers.no_skips",
    "tests.servers.openbao",
    "tests.servers.postgres",
    "tests.measured",
)


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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what starts servers: it waits rather than works, and files are shared out in this order."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
