"""Both harnesses, the Node one and the Python one, misbehave alike on request, and die with their parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.servers.asking import ask
from tests.servers.node import why_not
from tests.servers.provider import KINDS, ROOT, Provider

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["semansys", "smartdocumentor"])
def provider(request, provider_pool) -> Provider:
    return provider_pool(request.param)


def test_a_failure_lasts_as_many_requests_as_told(provider):
    provider.control(fail={"status": 503, "times": 2, "retry_after": 7})
    replies = [ask(provider) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert [reply.headers.get("Retry-After") for reply in replies] == ["7", "7", None]
    assert provider.stats().outcomes == {"503": 2, "200": 1}


def test_a_failure_without_a_count_lasts_until_lifted(provider):
    provider.control(fail={"status": 500})
    assert {ask(provider).status_code for _ in range(3)} == {500}
    provider.control(fail=None)
    assert ask(provider).status_code == 200


def test_a_fault_of_one_client_leaves_the_others_alone(provider):
    provider.add_client("other", secret="other")
    provider.control(client="other", fail={"status": 500})
    assert ask(provider, client="other", secret="other").status_code == 500
    assert ask(provider).status_code == 200
    assert provider.stats().of("other").outcomes == {"500": 1}


def test_an_outage_drops_the_connection(provider):
    token = ask(provider).json()["access_token"]
    provider.control(outage=True)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(provider)
    with pytest.raises(ConnectionError):
        provider.accepts(token)
    provider.control(outage=False)
    assert provider.accepts(token)
    assert provider.stats().outcomes == {"200": 1, "dropped": 1}


def test_a_hang_never_answers_and_lets_go_when_lifted(provider):
    provider.control(hang=True)
    with pytest.raises(httpx.ReadTimeout):
        ask(provider, timeout=0.3)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(ask, provider)
        until = time.monotonic() + 5
        while provider.stats().outcomes != {"hung": 2}:
            assert time.monotonic() < until
        provider.control(hang=False)
        assert isinstance(held.exception(5), httpx.RemoteProtocolError)
    assert ask(provider).status_code == 200


def test_requests_that_are_open_together_are_counted(provider):
    provider.control(delay_ms=4000)
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda _: ask(provider), range(3)))
    assert {reply.status_code for reply in replies} == {200}
    assert min(reply.elapsed.total_seconds() for reply in replies) >= 4
    assert provider.stats().at_once == 3


def test_a_misspelt_control_is_refused(provider):
    with pytest.raises(ValueError, match="no such control: dealy_ms"):
        provider.control(dealy_ms=1)


@pytest.mark.parametrize("name", ["semansys", "screening_eagle", "smartdocumentor"])
def test_a_server_dies_with_its_parent(name, tmp_path):
    if KINDS[name].node and (reason := why_not()):
        pytest.skip(reason)
    program = (
        "import sys, time, pathlib; from tests.servers.provider import Provider\n"
        "print(Provider(sys.argv[1], pathlib.Path(sys.argv[2])).process.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, name, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        server = int(parent.stdout.readline())
        assert alive(server)
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 5
    try:
        while alive(server):
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
