"""Fixtures for every folder of tests."""

import pytest

from tests.guards.canaries import Canaries

pytest_plugins = ("tests.servers.providers", "tests.servers.no_skips", "tests.servers.openbao")


@pytest.fixture
def canaries() -> Canaries:
    """Plants secrets and looks for them; see tests/guards/canaries.py."""
    return Canaries()
