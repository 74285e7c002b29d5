"""Fixtures for every folder of tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.guards import events
from tests.guards.canaries import Canaries

pytest_plugins = (
    "tests.servers.providers",
    "tests.servers.no_skips",
    "tests.servers.openbao",
    "tests.servers.postgres",
    "tests.measured",
)

# Nobody is timed: another process may have the machine.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
LONGEST = ("test_promise.py", "test_two_daemons.py", "test_points.py", "test_cluster.py")  # one to four minutes each


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


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    """What a test runs in this process may ignore signals at its end: programs of later tests would inherit that."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what starts servers; the tests in a booted systemd come last, and stay in its network.

    Where files are shared out to processes, in this order, what computes is spread evenly among what starts servers,
    which waits most of the time; the longest come first.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        items.sort(key=lambda item: not _starts_servers(item))
        return
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting, working = [], []
    for file, tests in files.items():
        (waiting if any(map(_starts_servers, tests)) else working).append(file)
    waiting.sort(key=lambda file: file.name not in LONGEST)
    place = {file: (number + 0.5) / len(some) for some in (waiting, working) for number, file in enumerate(some)}
    items[:] = [item for file in sorted(files, key=place.__getitem__) for item in files[file]]


def _starts_servers(item: pytest.Item) -> bool:
    return item.get_closest_marker("e2e") is not None
