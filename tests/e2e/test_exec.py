"""Programs instead of providers, run by the real daemon."""

import json
import signal
import sys
import time

import pytest

from tests.fakes.processes import living

pytestmark = pytest.mark.e2e
FETCH = """
import base64, json, os, pathlib, sys, time
said = json.load(sys.stdin)
folder = pathlib.Path(sys.argv[1])
(folder / "seen").write_text(json.dumps([sorted(said), sorted(os.environ), sys.argv[2:]]))
with (folder / "pids").open("a") as pids:
    print(os.getpid(), file=pids)
print("fetching with", said["password"], file=sys.stderr)
behaviour = (folder / "behaviour").read_text()
token = (folder / "token").read_text() + str(len((folder / "pids").read_text().split()))
match behaviour:
    case "fine":
        print(json.dumps({"access_token": token, "expires_in": 6}))
    case "slow":
        time.sleep(2)
        print(json.dumps({"access_token": token, "expires_in": 3600}))
    case "own names":
        print(json.dumps({"data": {"token": token, "ms": 6000}}))
    case "fails":
        print("Basic", base64.b64encode(f"acme:{said['password']}".encode()).decode(), file=sys.stderr)
        sys.exit(7)
    case "hangs":
        os.fork()
        time.sleep(600)
"""


class Script:
    """A job `api` whose program does as it is told; it prints `token` and the number of the run."""

    def __init__(self, site):
        self.site = site
        self.file = site.folder / "fetch.py"
        self.file.write_text(FETCH)
        self.token = site.canaries.plant("printed token")
        (site.folder / "token").write_text(self.token)
        self.runs = site.folder / "pids"
        self.runs.touch()
        self.behave("fine")
        site.jobs["api"] = {
            "provider": "exec",
            "command": [sys.executable, str(self.file), str(site.folder), "--client", "crm"],
            "secrets": {"password": site.secret("password", site.canaries.plant("password", odd="+/= &%'"))},
            "environment": {"TZ": "UTC"},
            "path": "tokens/api",
        }

    def behave(self, how):
        (self.site.folder / "behaviour").write_text(how)

    @property
    def pids(self):
        return [int(line) for line in self.runs.read_text().split()]

    def living(self):
        """Return those of its runs of which a process still lives."""
        return [pid for pid in self.pids if list(living(pid))]


@pytest.fixture
def script(site):
    return Script(site)


def once(site):
    site.write()
    done = site.run("once", "--force", "--json")
    return json.loads(done.stdout), [json.loads(line) for line in done.stderr.splitlines()]


def test_a_program_keeps_a_path_fresh(site, script):
    with site.daemon() as daemon:
        for _ in range(3):
            daemon.wait_for("rotated", job="api")
        assert daemon.stop() == 0

    lines, runs = daemon.lines("rotated", job="api"), len(script.pids)
    assert [line["reason"] for line in lines] == ["missing", *["due"] * (runs - 1)]
    assert lines[0]["provider"] == "exec"
    assert site.token("api")["access_token"] == f"{script.token}{runs}"
    seen = json.loads((site.folder / "seen").read_text())
    assert seen == [["password"], ["LANG", "PATH", "TZ"], ["--client", "crm"]]
    said = daemon.lines("program_output", job="api")
    assert {(line["level"], line["line"]) for line in said} == {("debug", "fetching with ***")}
    assert not script.living()


def test_its_reply_may_have_names_of_its_own(site, script):
    script.behave("own names")
    site.jobs["api"]["response"] = {"access_token": "data.token", "expires_in": "data.ms", "expires_in_unit": "ms"}

    ended, _ = once(site)

    assert ended["outcome"] == "rotated"
    assert site.token("api")["access_token"] == f"{script.token}1"


def test_a_failure_is_told_with_its_last_words_and_without_its_secrets(site, script):
    once(site)
    script.behave("fails")

    ended, lines = once(site)

    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "exit_7")
    said = [(line["level"], line["line"]) for line in lines if line["event"] == "program_output"]
    assert said[0] == ("warning", "fetching with ***")
    assert said[1][1].startswith("Basic ")
    assert "***" in said[1][1]
    assert [line["why"] for line in lines if line["event"] == "failing"] == [
        "exit_7: the program ended with status 7; the log has its last words as program_output"
    ]
    assert site.token("api")["access_token"] == f"{script.token}1", "the old token stays"


def test_one_that_hangs_is_ended_with_its_children_and_disturbs_no_other_job(site, script, oauth2):
    script.behave("hangs")
    site.jobs["api"]["deadline"] = "2s"
    site.add("other", oauth2, ttl=6)
    with site.daemon() as daemon:
        line = daemon.wait_for("failing", job="api")
        while len(daemon.lines("rotated", job="other")) < 2:
            daemon.wait_for("rotated", job="other")
        assert not script.living()[:-1], "one may have been started again"
        assert daemon.stop() == 0

    assert (line["error"], line["why"]) == ("deadline", "deadline: the program took longer than 2 s and was ended")
    assert not script.living()


def test_a_daemon_asked_to_stop_awaits_the_program_and_writes_its_token(site, script):
    script.behave("slow")
    with site.daemon() as daemon:
        while not script.pids:
            time.sleep(0.02)  # the program tells that it runs by this file alone
        assert daemon.stop(signal.SIGTERM) == 0

    assert site.token("api")["access_token"] == f"{script.token}1"
    assert daemon.lines("rotated", job="api")
    assert not script.living()


@pytest.mark.usefixtures("script")
def test_a_program_that_is_not_there_is_told(site):
    site.jobs["api"]["command"] = ["/nowhere/fetch-token"]

    ended, lines = once(site)
    checked = site.run("check", "--live")

    assert checked.returncode == 1
    assert "[jobs.api] command: /nowhere/fetch-token: there is no such program that user" in checked.stderr
    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "not_started")
    assert [line["why"] for line in lines if "why" in line] == [
        "not_started: /nowhere/fetch-token: there is no such program, or no interpreter as its first line names it"
    ]
