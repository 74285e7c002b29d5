"""The page of a real daemon: what it serves, that it holds no secret, and that it holds up nobody."""

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.web.stage import free_port

pytestmark = pytest.mark.e2e

LISTEN = "0A"  # proc(5)


@pytest.fixture
def paged(site, smartdocumentor):
    """A site with a job, and a page; its outputs are searched for secrets at the end."""
    site.add("crm", smartdocumentor, ttl=3600)
    site.add("refused", smartdocumentor, ttl=3600)
    smartdocumentor.control(client="refused-client", fail={"status": 401, "times": 1000})
    port = free_port()
    site.tables["web"] = {"listen": f"127.0.0.1:{port}"}
    return f"http://127.0.0.1:{port}"


def test_what_it_serves(site, paged):
    with site.daemon() as daemon, httpx.Client(base_url=paged, trust_env=False) as client:
        daemon.wait_until(lambda _: daemon.lines("latched", job="refused") and daemon.lines("rotated", job="crm"))
        for path in ("/", "/jobs/crm", "/jobs/refused", "/metrics", "/healthz", "/readyz"):
            site.outputs.append(client.get(path).text)
        page = client.get("/").text
        assert "1 needs you" in page
        assert page.index('href="/jobs/refused"') < page.index('href="/jobs/crm"')
        metrics = client.get("/metrics").text
        assert 'refresher_rotations_total{name="crm"} 1.0' in metrics
        assert (
            'refresher_attempts_total{error_class="request",name="refused",outcome="rejected_permanent"} 1.0' in metrics
        )
        assert 'refresher_job_state{name="refused",state="latched"} 1.0' in metrics
        for name, least in (("request", 2), ("vault_request", 4), ("wakeup", 0)):
            found = [line for line in metrics.splitlines() if line.startswith(f"refresher_{name}_")]
            counts = [float(line.split()[1]) for line in found if "_count" in line]
            assert sum(counts) >= least, found
        (ends,) = [line for line in metrics.splitlines() if line.startswith("refresher_vault_token_expiry")]
        assert float(ends.split()[1]) > time.time()
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").status_code == 503
        assert daemon.stop() == 0


def test_an_open_page_does_not_hold_up_the_end(site, paged):
    with site.daemon() as daemon, httpx.Client(base_url=paged, trust_env=False) as client:
        daemon.wait_for("started")
        since = client.get("/").text.partition('data-revision="')[2].partition('"')[0]
        with client.stream("GET", f"/events?since={since}") as stream:
            assert next(stream.iter_lines()) == ": here"
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 10, "2 s on a machine with nothing else to do"


def test_a_job_that_is_removed_takes_its_series_with_it(site, paged):
    with site.daemon() as daemon, httpx.Client(base_url=paged, trust_env=False) as client:
        daemon.wait_for("started")
        del site.jobs["refused"]
        site.write()
        daemon.process.send_signal(signal.SIGUSR2)
        daemon.wait_for("reloaded")
        ends = time.monotonic() + 20
        while 'name="refused"' in (text := client.get("/metrics").text):
            assert time.monotonic() < ends, text
            time.sleep(0.05)  # it leaves once nothing of it is under way
        assert 'name="crm"' in text
        assert client.get("/jobs/refused").status_code == 404


def test_a_port_that_is_taken_ends_nothing(site, paged):
    port = int(paged.rpartition(":")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with site.daemon() as daemon:
            warning = daemon.wait_for("started", level="warning")["warning"]
            assert f"[web] listen: 127.0.0.1:{port}: Address already in use" in warning
            daemon.wait_for("rotated", job="crm")
            assert daemon.stop() == 0


def test_on_a_unix_socket(site, paged, tmp_path):
    assert paged
    path = tmp_path / "web.sock"
    site.tables["web"] = {"listen": str(path)}
    with site.daemon() as daemon:
        daemon.wait_for("started")
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://refresher") as client:
            assert 'href="/jobs/crm"' in client.get("/").text
        assert path.stat().st_mode & 0o777 == 0o660
        assert daemon.stop() == 0


def test_where_there_is_none_nothing_listens(site, paged):
    assert paged
    site.tables["web"] = {"listen": ""}
    with site.daemon() as daemon:
        daemon.wait_for("started")
        process = Path(f"/proc/{daemon.process.pid}")
        held = {str(one.readlink()) for one in (process / "fd").iterdir()}
        sockets = [line.split() for line in (process / "net" / "tcp").read_text().splitlines()[1:]]
        listening = {f"socket:[{fields[9]}]" for fields in sockets if fields[3] == LISTEN}
        assert listening, "others do"
        assert not held & listening
        assert daemon.stop() == 0
