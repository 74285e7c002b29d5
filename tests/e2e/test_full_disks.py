"""Vault's disk takes no more: for the log that it must write before it may answer, and for its data."""

import json
import os
import resource
import shutil
import time
from itertools import accumulate
from pathlib import Path

import pytest

from refresher.demo.openbao import OpenBaoError
from tests.e2e.site import RECORD, Site
from tests.servers.cluster import ACTIVE, Node, await_that

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
SPARSE = 2**30  # bytes that the log begins with: a limit beyond them is one for the log alone, not for the data
LESS_THAN_AN_ANSWER = 300  # bytes
HEALED_S = 30


class Audited(Node):
    """A node that logs each request before it serves it, and each answer before it gives it."""

    def _config(self):
        device = {"description": "all", "options": {"file_path": str(self.audit_log)}}
        return super()._config() | {"audit": [{"file": {"all": device}}]}

    def allow(self, more: int | None) -> None:
        """Let the log grow by so many bytes, or without an end."""
        most = self.audit_log.stat().st_size + more if more is not None else resource.RLIM_INFINITY
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def lines(self) -> list[bytes]:
        with self.audit_log.open("rb") as log:
            log.seek(SPARSE)
            return log.readlines()

    def unanswered(self) -> list[str]:
        """Return the path of each request that was served and could not be answered."""
        said = (self._folder / "openbao.log").read_text().split("failed to audit response: request_path=")[1:]
        return [one.split()[0] for one in said]


@pytest.fixture
def node(tmp_path):
    node = Audited(tmp_path / "node", multiplier=1)
    with node.audit_log.open("wb") as log:
        log.truncate(SPARSE)
    try:
        node.start()
        await_that(lambda: node.health() == ACTIVE, "the node is not active")
        node.mount("secret")
        yield node
    finally:
        node.close()


@pytest.fixture
def site(tmp_path, node):
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site", node, "secret")
    yield site
    site.check_outputs()


def committed(lines: list[bytes]) -> list[int]:
    """Return the bytes of the log before the answer to each write that was made, within these lines of one cycle."""
    ends = [0, *accumulate(map(len, lines))]
    return [before for line, before in zip(lines, ends, strict=False) if is_made(json.loads(line))]


def is_made(entry: dict) -> bool:
    answer = entry.get("response", {}).get("data", {})
    return entry["type"] == "response" and entry["request"]["operation"] in ("create", "update") and "version" in answer


@pytest.mark.fault("F12")
def test_each_write_of_a_rotation_is_made_and_answered_500(node, site, semansys, measured):
    site.add("api", semansys, ttl=12, max_age="4s")
    with site.daemon() as daemon:
        daemon.wait_for("rotated")
        before = len(node.lines())
        daemon.wait_for("rotated")
        rooms = committed(node.lines()[before:])
        for room in rooms:
            node.allow(room + LESS_THAN_AN_ANSWER)
            known = len(node.unanswered())
            await_that(lambda known=known: len(node.unanswered()) > known, "no answer was held back")
            daemon.wait_until(lambda line: line["event"] == "store_failed")
            node.allow(None)
            daemon.wait_for("rotated")
        assert daemon.stop() == 0

    paths = [path for path in node.unanswered() if path.startswith("secret/data/")]
    rotations, stats = len(daemon.lines("rotated")), semansys.stats()
    measured(f"{len(paths)} writes made and answered 500, {rotations} rotations, {stats.total} requests")
    assert {path.removeprefix("secret/data/") for path in paths} == {"tokens/api", RECORD + "api"}
    assert len(rooms) == 3, "the intent, the refresh token, the token"
    assert site.versions("api") == rotations
    assert stats.outcomes == {"200": rotations}
    assert stats.refresh_reused == 0
    assert not daemon.lines("grant_unknown", "foreign_change")
