"""Hooks of a real daemon: none of them delays a rotation, and what they are told can be checked by anybody."""

import base64
import json
import sys
import time

import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.receiver import receiving
from tests.fakes.processes import living

pytestmark = pytest.mark.e2e
PROGRAM = """
import json, os, pathlib, sys, time
folder, how = pathlib.Path(sys.argv[1]), sys.argv[2]
told = json.load(sys.stdin)
with (folder / f"{how}.runs").open("a") as runs:
    print(os.getpid(), file=runs)
match how:
    case "well":
        named = {name: value for name, value in os.environ.items() if name.startswith("REFRESHER_")}
        with (folder / "told").open("a") as file:
            print(json.dumps([told, named]), file=file)
        print("the key is", told["secrets"]["key"], file=sys.stderr)
    case "hangs":
        os.fork()
        time.sleep(600)
    case "dies":
        os.kill(os.getpid(), 9)
    case "floods":
        while True:
            print("x" * 65536)
"""


class Hooks:
    def __init__(self, site) -> None:
        self.site = site
        self.file = site.folder / "hook.py"
        self.file.write_text(PROGRAM)

    def add(self, name, how, **more):
        command = [sys.executable, str(self.file), str(self.site.folder), how]
        self.site.tables[f"hooks.{name}"] = {"command": command} | more

    def pids(self, how):
        file = self.site.folder / f"{how}.runs"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def hooks(site):
    return Hooks(site)


def rotations(daemon, job, count):
    """Wait for so many rotations, each when it was due, and return their lines."""
    lines = [daemon.wait_for("rotated", job=job, within=60) for _ in range(count)]
    assert [line["reason"] for line in lines] == ["missing", *["due"] * (count - 1)]
    return lines


def test_hooks_that_hang_die_flood_or_are_missing_delay_no_rotation(site, hooks, smartdocumentor):
    for how in ("hangs", "dies", "floods"):
        hooks.add(how, how, on=["rotated"], deadline="3s" if how == "hangs" else "30s")
    site.tables["hooks.missing"] = {"command": ["/nonexistent/program"], "on": ["rotated"]}
    site.tables["hooks.away"] = {"url": "http://127.0.0.1:1/", "on": ["rotated"]}
    hooks.add("well", "well", on=["rotated"], secrets={"key": site.secret("key", site.canaries.plant("hook key"))})
    site.add("crm", smartdocumentor, ttl=6)
    with site.daemon() as daemon:
        lines = rotations(daemon, "crm", 3)
        said = {line["hook"]: line["error"] for line in daemon.lines("hook_failed", level="warning")}
        assert daemon.stop(within=20) == 0

    assert all(line["expires_at"] > line["timestamp"][:19] for line in lines)
    assert not daemon.lines("expired", "expiring")
    assert said | {"hangs": "deadline"} == {
        "hangs": "deadline",
        "dies": "signal_9",
        "floods": "flooded",
        "missing": "not_started",
        "away": "transport",
    }
    told = [json.loads(line) for line in (site.folder / "told").read_text().splitlines()]
    assert len(told) >= 2
    event, named = told[0]
    assert (event["type"], event["subject"], event["data"]["version"]) == ("refresher.rotated", "crm", 1)
    assert named["REFRESHER_PATHS"] == f"{site.mount}/tokens/crm"
    outputs = {line["line"] for line in daemon.lines("program_output") if line["hook"] == "well"}
    assert outputs == {"the key is ***"}
    assert not [pid for how in ("hangs", "dies", "floods", "well") for pid in hooks.pids(how) if list(living(pid))]


def test_a_webhook_is_verified_by_somebody_elses_library_and_comes_when_the_receiver_is_back(site, smartdocumentor):
    key = "whsec_" + base64.b64encode(site.canaries.plant("webhook key").encode()).decode()
    site.canaries.planted["webhook secret"] = key
    site.add("crm", smartdocumentor)
    with receiving() as receiver:
        receiver.status = 503
        url = f"{receiver.url}/hooks/{site.canaries.plant('hook url')}"
        site.tables["hooks.web"] = {"url": site.secret("url", url), "secret": site.secret("webhook", key)}
        site.tables["hooks.web"] |= {"on": ["rotated", "stopped"]}
        with site.daemon() as daemon:
            first = receiver.got.get(timeout=30)
            receiver.status = 204
            again = receiver.got.get(timeout=30)
            daemon.wait_for("hook_failed", level="info", hook="web")
            began = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - began < 10
        last = receiver.got.get(timeout=5)
    assert first[0] == "POST"
    assert url.endswith(first[1])
    assert first[2]["webhook-id"] == again[2]["webhook-id"] != last[2]["webhook-id"]
    assert first[2]["content-type"] == "application/cloudevents+json; charset=utf-8"
    for _, _, headers, body in (first, again, last):
        told = Webhook(key).verify(body, headers)
        assert told["id"] == headers["webhook-id"]
    assert (json.loads(again[3])["type"], json.loads(last[3])["type"]) == ("refresher.rotated", "refresher.stopped")


def test_a_pass_tells_its_hooks_before_it_ends(site, hooks, smartdocumentor):
    key = site.secret("key", site.canaries.plant("hook key"))
    hooks.add("well", "well", on=["rotated"], secrets={"key": key})
    site.add("crm", smartdocumentor)
    site.write()
    assert site.run("once").returncode == 0
    assert len(hooks.pids("well")) == 1


@pytest.mark.nightly
def test_a_dead_mans_switch_is_called_while_all_is_well(site, smartdocumentor):
    site.add("crm", smartdocumentor, ttl=6)
    with receiving() as receiver:
        url = f"{receiver.url}/ping/{site.canaries.plant('heartbeat url')}"
        site.top = {"heartbeat_url": site.secret("heartbeat", url), "heartbeat_every": "1s"}
        with site.daemon() as daemon:
            daemon.wait_for("rotated")
            method, path, _, _ = receiver.got.get(timeout=30)
            assert (method, url.endswith(path)) == ("GET", True)
            smartdocumentor.control(client="crm-client", fail={"status": 503, "times": 1000})
            daemon.wait_for("failing", job="crm")
            time.sleep(1.5)  # a call that was under way
            while not receiver.got.empty():
                receiver.got.get()
            daemon.wait_for("expired", job="crm", within=60)
            assert receiver.got.empty(), "not a single one from then on"
            smartdocumentor.control(client="crm-client", fail=None)
            daemon.wait_for("recovered", job="crm", within=60)
            receiver.got.get(timeout=30)
            assert daemon.stop() == 0
