"""A pytest plugin: what was not run is said, and under `CI=true` it is a failure.

A test that skips where it should have run passes for green: on the machine that decides, nothing may hide so.
"""

import os

import pytest


def skipped(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter.stats.get("skipped", []) if reporter else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK and skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reports := skipped(terminalreporter.config):
        verdict = "a failure, since CI=true" if os.environ.get("CI") == "true" else "not checked here"
        terminalreporter.section(f"{len(reports)} skipped: {verdict}", red=True)
        for report in reports:
            terminalreporter.write_line(report.nodeid)
