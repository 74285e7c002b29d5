"""A pytest plugin: what tests measured is told at the end, whichever process measured it."""

from collections.abc import Callable

import pytest

NAME = "measured"


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell a figure at the end of the run: `measured("20 kills: 21 requests")`."""
    return lambda text: record_property(NAME, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for ended in terminalreporter.stats.values() for one in ended if isinstance(one, pytest.TestReport)]
    figures = [(one.nodeid, text) for one in reports for name, text in one.user_properties if name == NAME]
    if figures:
        terminalreporter.section("measured")
        for test, text in sorted(set(figures)):
            terminalreporter.write_line(f"{test}: {text}")
