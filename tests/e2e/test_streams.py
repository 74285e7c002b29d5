"""A log that nobody takes: standard error closed, on a full disk, or a pipe whose reader stalls. Rotations go on."""

import fcntl
import json
import os
import sys
import time
from contextlib import ExitStack

import pytest

from tests.e2e.site import Daemon, Site
from tests.servers.cluster import await_that

pytestmark = pytest.mark.e2e
ENDS = {"closed": "2>&-", "on a full disk": "2>/dev/full", "a stalled pipe": '2>"$PIPE"'}
PIPE_BYTES = 4096
VERSIONS = 4


@pytest.mark.timeout(120)
@pytest.mark.fault("F55", "F56")
def test_rotations_go_on_whatever_becomes_of_standard_error(tmp_path, openbao, semansys, monkeypatch, measured):
    """Three daemons at once, of one job each; the pipe is full before its daemon says a word."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("PIPE", str(pipe))
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(reader, b"\n" * PIPE_BYTES)
    sites: dict[str, Site] = {}
    codes: dict[str, int] = {}
    with ExitStack() as stack:
        daemons: dict[str, Daemon] = {}
        for number, (end, words) in enumerate(ENDS.items()):
            mount = f"streams-{number}"
            openbao.mount(mount)
            (tmp_path / mount).mkdir()
            sites[end] = site = Site(tmp_path / mount, openbao, mount)
            site.add(f"api-{number}", semansys, ttl=6)
            start = ("sh", "-c", f'exec "$@" {words}', "sh", sys.executable, "-m", "refresher")
            daemons[end] = stack.enter_context(site.daemon(*start))
        for number, site in enumerate(sites.values()):
            await_that(
                lambda site=site, job=f"api-{number}": site.token(job) is not None and site.versions(job) >= VERSIONS,
                "no rotations",
            )
        os.set_blocking(reader, True)
        codes = {end: daemon.stop() for end, daemon in daemons.items() if end != "a stalled pipe"}
        came = os.read(reader, PIPE_BYTES)  # room for what waited
        time.sleep(0.5)
        os.set_blocking(reader, False)
        codes["a stalled pipe"] = daemons["a stalled pipe"].stop()
        while True:
            try:
                came += os.read(reader, 65536)
            except BlockingIOError:
                break
    os.close(reader)
    rotations = {end: site.versions(f"api-{number}") for number, (end, site) in enumerate(sites.items())}
    lines = [json.loads(line) for line in came.decode().splitlines() if line.startswith("{")]
    measured(f"rotations with standard error {rotations}; {len(lines)} lines came when the pipe was read again")
    assert set(codes.values()) == {0}
    assert min(rotations.values()) >= VERSIONS
    assert semansys.stats().refresh_reused == 0
    assert set(semansys.stats().outcomes) == {"200"}
    assert lines[0]["event"] == "started" or lines[0]["event"] == "log_dropped"
    for site in sites.values():
        site.outputs.append(came.decode())
        site.check_outputs()
