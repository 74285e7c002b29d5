"""What people see of a fleet, whichever node they ask, and what they may have it do: three real nodes."""

import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from refresher.cli import _daemon
from refresher.config import load
from refresher.control import client
from tests.e2e.fleet import Fleet, Strict, fleet_of
from tests.e2e.site import Daemon, Site
from tests.servers.postgres import Base
from tests.web.stage import free_port

pytestmark = pytest.mark.e2e
SOON = 30  # seconds; what is told is heard within two or three
JOBS = ("api", "other")


def until(true: Callable[[], object], what: str, *, within: float = SOON) -> None:
    ends = time.monotonic() + within
    while not true():
        assert time.monotonic() < ends, f"not within {within} s: {what}"
        time.sleep(0.2)


def asked(host: Site, verb: str, job: str, **words: object) -> dict:
    """Return what the host's daemon says of a deed, as the verb of that name asks it."""
    (ended,) = client.ask(load(host.config), verb, {"jobs": [job]} | words)
    return ended


def rows(host: Site) -> dict[str, dict]:
    """Return what `status --json` prints; a daemon on a busy machine may take longer to answer than a person waits."""
    for _ in range(5):
        with suppress(client.DaemonError):
            return {row["status"]["job"]: row["status"] for row in client.jobs(load(host.config))}
    pytest.fail("the daemon does not answer")


def ends_of(host: Site) -> dict[str, str]:
    """Return how each job's last walk ended, of those that have an end."""
    return {name: row["last"]["outcome"] for name, row in rows(host).items() if row["last"]}


def page(host: Site, path: str) -> str:
    return httpx.get(f"http://{host.tables['web']['listen']}{path}", trust_env=False, timeout=20).text


def series(host: Site, name: str) -> dict[str, float]:
    """Return the values of a series of /metrics, by their labels."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", page(host, "/metrics"), re.MULTILINE)
    return {labels: float(value) for labels, value in found}


class Nodes:
    """Three nodes with a page each, two jobs, and a provider of single-use refresh tokens."""

    def __init__(self, fleet: Fleet, provider: Strict) -> None:
        self.fleet, self.provider, self.hosts = fleet, provider, fleet.hosts
        self.lives: list[Daemon] = []

    def start(self, *numbers: int) -> None:
        self.lives = [self.fleet.start(number) for number in numbers]
        for life in self.lives:
            life.wait_for("started", level="info", within=60)

    def name(self, number: int) -> str:
        """Return what a node is called by: all of them stand on one host here."""
        return self.hosts[number].holder[:6]

    def slowly(self, seconds: float) -> None:
        self.provider.latency = seconds


@pytest.fixture
def nodes(site: Site, base: Base) -> Iterator[Nodes]:
    provider = Strict(lambda _: 3600, latency=0.05)
    with provider.serving(), fleet_of(site, base) as fleet:
        for host in fleet.hosts:
            host.tables["web"] = {"listen": f"127.0.0.1:{free_port()}"}
            host.top["drift_check"] = "10s"
        for name in JOBS:
            site.jobs[name] = {
                "provider": "semansys", "token_url": provider.urls[0], "client_id": name, "username": "canary-user",
                "client_secret": site.secret("client", "canary-of-a-client-secret"),
                "password": site.secret("password", "canary-of-a-users-password"), "path": f"tokens/{name}",
            }  # fmt: skip
        fleet.open_to_all()
        fleet.install()
        yield Nodes(fleet, provider)
        site.canaries.check(base.server.dump(base.name))


def test_whichever_node_is_asked_it_shows_what_all_of_them_did(nodes: Nodes):
    nodes.start(0, 1, 2)
    first, *others = nodes.hosts
    # issued is not enough: who asks for a rotation while one goes on is told how that one ended
    until(lambda: ends_of(first) == dict.fromkeys(JOBS, "rotated"), "both have a token, and nobody has them in hand")
    ended = asked(first, "rotate", "api")
    assert (ended["outcome"], ended["reason"]) == ("rotated", "forced")

    def seen(host: Site) -> bool:
        one = rows(host)["api"]
        last = one["last"] or {}
        shown = (one["state"], one["expires_at"], one["renew_at"], one["destinations"][0]["version"])
        node = one["node"] or ""  # nobody has it between two turns
        mine = last.get("outcome") == "rotated" and node.endswith(nodes.name(0))
        return mine and shown == ("fresh", ended["expires_at"], ended["renew_at"], ended["destinations"][0]["version"])

    for host in nodes.hosts:
        until(lambda host=host: seen(host), "each node shows the token, and who renewed it")
    expiries = [series(host, "refresher_token_expiry_timestamp_seconds")['name="api"'] for host in nodes.hosts]
    assert max(expiries) - min(expiries) <= 1
    for host in nodes.hosts:
        until(
            lambda host=host: series(host, "refresher_nodes") == {'state="alive"': 3, 'state="gone"': 0},
            "each node sees all three",
        )
        assert series(host, "refresher_scheduler_up") == {"": 1}
        assert "3 nodes" in page(host, "/")
        assert "Nothing alive from" not in page(host, "/jobs/api")
        until(lambda host=host: page(host, "/jobs/api").count(">rotated<") == 2, "the history is of all nodes")
    assert "; 3 nodes)" in others[0].run("status").stdout

    stood = first.versions("api")
    first.bao.api("DELETE", f"{first.mount}/data/tokens/api")
    until(lambda: first.versions("api") > stood, "what somebody deleted is there again, long before it is due")

    nodes.lives[2].kill()
    until(lambda: series(first, "refresher_nodes").get('state="gone"') == 1, "the others see that it is gone")
    assert "A node is gone" in page(first, "/")
    done = first.run("status")
    assert done.returncode == 0, "by its jobs alone"
    assert re.search(rf"2 of 3 nodes: \S+/{nodes.name(2)} is gone", done.stdout)

    for life in nodes.lives[:2]:
        assert life.stop() == 0
    done = first.run("status")
    assert "from Vault and the fleet's ledger: no daemon was asked" in done.stdout
    assert socket.gethostname()[:11] in done.stdout.splitlines()[1], "where it was had last is on record"


def test_what_a_person_asks_of_any_node_counts_for_all(nodes: Nodes):
    nodes.start(0, 1, 2)
    one, two, three = nodes.hosts
    for host in nodes.hosts:
        until(lambda host=host: ends_of(host) == dict.fromkeys(JOBS, "rotated"), "all know of it")

    assert asked(one, "rotate", "api")["reason"] == "forced"
    assert asked(two, "rotate", "api")["reason"] == "cooldown", "of the whole fleet"
    assert asked(two, "once", "api")["outcome"] == "fresh"

    assert "paused until" in two.run("pause", "api", "--until", "2h").stdout
    assert asked(three, "rotate", "api")["reason"] == "paused"
    for host in nodes.hosts:
        until(lambda host=host: rows(host)["api"]["state"] == "paused", "each node shows it")
    since = len(nodes.provider.asked)
    nodes.fleet.base.sql("UPDATE refresher.pgqueuer SET execute_after = now()")
    until(lambda: nodes.fleet.rows("queued") == sorted(JOBS), "somebody was called")
    assert len(nodes.provider.asked) == since, "and did nothing"
    assert asked(three, "resume", "api")["told"] is True

    token = one.canaries.plant("a token by hand")
    assert asked(three, "put", "api", token=token, lifetime_s=1800)["reason"] == "put"
    assert one.token("api")["access_token"] == token
    assert asked(one, "release", "other")["reason"] == "released"
    assert "managed_by" not in one.token("other")
    for host in nodes.hosts:
        until(lambda host=host: rows(host)["other"]["state"] == "unmanaged", "each node leaves it alone")
    assert nodes.provider.reused == []
    for life in nodes.lives:
        assert life.stop() == 0


def test_a_job_that_another_node_has_in_hand_is_left_to_it(nodes: Nodes):
    nodes.start(0, 1)
    nodes.provider.wait(lambda: len(nodes.provider.current) == len(JOBS), "both have a token")
    until(lambda: nodes.fleet.rows("queued") == sorted(JOBS), "nobody has them in hand")
    nodes.slowly(8)
    since, answers = len(nodes.provider.asked), []
    walking = threading.Thread(target=lambda: answers.append(asked(nodes.hosts[0], "rotate", "api")))
    walking.start()
    nodes.provider.wait(lambda: len(nodes.provider.asked) > since, "the first node asks the provider")
    nodes.lives[0].process.send_signal(signal.SIGSTOP)  # it has the job in hand for as long as it takes
    ended = asked(nodes.hosts[1], "rotate", "api")
    nodes.lives[0].process.send_signal(signal.SIGCONT)
    said = _daemon.line(ended, "rotate")
    assert re.match(
        rf"api: halted \(elsewhere\): node \S+/{nodes.name(0)} has it in hand: try again in a moment,"
        r" or ask there: refresher rotate api$",
        said,
    ), said
    walking.join()
    assert answers[0]["outcome"] == "rotated"
    assert len(nodes.provider.asked) == since + 1
    assert nodes.provider.reused == []
    assert [life.stop(signal.SIGTERM) for life in nodes.lives] == [0, 0]
