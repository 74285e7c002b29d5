"""Every recorded reply comes out as it must."""

import time

import pytest

from refresher.providers import interpret
from tests.core.builders import NOW
from tests.providers.corpus import LINES

PURE = [line for line in LINES if not line.needs_socket]
ON_A_SOCKET = {
    "huge-content-length",
    "wire-truncated-content-length",
    "wire-short-content-length",
    "wire-two-content-lengths",
    "wire-garbage-status",
    "wire-header-200KB",
    "wire-slowloris-body",
    "wire-hang-after-accept",
}


def test_no_line_is_left_out():
    assert {line.id for line in LINES if line.needs_socket} == ON_A_SOCKET
    assert len({line.id for line in LINES}) == len(LINES) == 246
    assert len(PURE) == 238


@pytest.mark.parametrize("line", PURE, ids=lambda line: line.id)
def test_reply_comes_out_as_recorded(line):
    verdict = line.interpret()
    assert line.shown(verdict) == line.expected
    for secret in ("client_secret", "sent_refresh_token", "previous_access_token"):
        assert line.context.get(secret, "\0") not in repr(verdict)


def test_ten_thousand_replies_a_second():
    """Over the whole corpus, bombs included; the best of three rounds, since other work shares the machine."""
    prepared = [(line.response, line.job) for line in PURE]

    def seconds() -> float:
        begun = time.process_time()
        for response, job in prepared:
            interpret(response, job, sent_at=NOW)
        return time.process_time() - begun

    assert len(prepared) / min(seconds() for _ in range(3)) > 10_000
