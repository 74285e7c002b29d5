"""The verbs as an operator types them: what they print, what they exit with, what they never show."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.site import REFRESHER
from tests.e2e.waiting import await_requests

pytestmark = pytest.mark.e2e
SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"


def lines_of(done, verb):
    """Return the objects that a verb printed, each valid against its documented shape."""
    schema = json.loads((SCHEMAS / f"{verb}.json").read_text())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        jsonschema.validate(line, schema)
    return lines


@pytest.fixture
def mixed_site(site, semansys, smartdocumentor, screening_eagle):
    """One job of each fate: fine, wrong secret, a server that fails, one whose path is somebody else's."""
    site.add("fine", semansys)
    site.add("refused", smartdocumentor, client_secret=site.secret("wrong", site.canaries.plant("wrong secret")))
    site.add("failing", screening_eagle)
    screening_eagle.control(client="failing-client", fail={"status": 503, "retry_after": 600})
    site.add("taken", smartdocumentor)
    site.bao.api("POST", f"{site.mount}/data/tokens/taken", {"data": {"password": "somebody else's"}})
    site.write()
    return site


def test_once_status_and_plan_have_their_documented_shapes(mixed_site):
    done = mixed_site.run("once", "--json")
    outcomes = {line["job"]: line for line in lines_of(done, "once")}
    assert done.returncode == 1
    assert {name: line["outcome"] for name, line in outcomes.items()} == {
        "fine": "rotated",
        "refused": "rejected_permanent",
        "failing": "rejected_transient",
        "taken": "halted",
    }
    assert outcomes["failing"]["retry_after"] == 600
    assert outcomes["taken"]["reason"] == "unmanaged"
    assert mixed_site.token("taken") == {"password": "somebody else's"}, "never touched"

    done = mixed_site.run("status", "--json")
    states = {line["job"]: line["state"] for line in lines_of(done, "status")}
    assert done.returncode == 1
    assert states == {"fine": "fresh", "refused": "latched", "failing": "retrying", "taken": "unmanaged"}

    done = mixed_site.run("plan", "--json", "--for", "2h")
    plans = {line["job"]: line for line in lines_of(done, "plan")}
    assert done.returncode == 0
    assert plans["fine"]["at"] == next(line for line in lines_of(done, "plan") if line["job"] == "fine")["at"]
    assert plans["fine"]["rotations"] == 2
    assert plans["fine"]["outage_budget_s"] >= 630


def test_a_second_pass_neither_forgets_nor_hammers(mixed_site, smartdocumentor, screening_eagle):
    before = {line["job"]: line for line in lines_of(mixed_site.run("once", "--json"), "once")}
    asked = smartdocumentor.stats().total + screening_eagle.stats().total
    after = {line["job"]: line for line in lines_of(mixed_site.run("once", "--json"), "once")}
    assert smartdocumentor.stats().total + screening_eagle.stats().total == asked
    assert [after[name]["outcome"] for name in ("fine", "refused", "failing")] == ["fresh", "halted", "halted"]
    assert after["refused"]["error"] == before["refused"]["error"] == "invalid_client"

    mixed_site.secret("wrong", mixed_site.canaries.planted["refused client secret"])
    mended = {line["job"]: line["outcome"] for line in lines_of(mixed_site.run("once", "--json"), "once")}
    assert mended["refused"] == "rotated", "another secret opens the latch at once"

    history = [json.loads(line) for line in mixed_site.run("history", "--json").stdout.splitlines()]
    told = [(line["job"], line["outcome"]) for line in history if line["job"] == "refused"]
    assert told == [("refused", "rejected_permanent"), ("refused", "rotated")]
    assert "invalid_client, HTTP 4" in mixed_site.run("history", "refused").stdout


def test_once_has_nothing_to_do_twice_and_force_does_it_all_the_same(site, smartdocumentor):
    site.add("api", smartdocumentor)
    site.add("other", smartdocumentor)
    site.write()
    ends = [[line["outcome"] for line in lines_of(site.run("once", *words), "once")] for words in (["--json"],) * 2]
    assert ends == [["rotated"] * 2, ["fresh"] * 2]
    forced = lines_of(site.run("once", "api", "--force", "--json"), "once")
    assert [(line["job"], line["outcome"], line["reason"]) for line in forced] == [("api", "rotated", "forced")]
    assert (site.versions("api"), site.versions("other")) == (2, 1)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_once_that_is_told_to_end_writes_what_it_asked_for_and_asks_for_no_more(site, semansys, how):
    """A refresh token that is spent and not written would be lost: a shutdown comes at any time."""
    for name in ("api", "other"):
        site.add(name, semansys)
    site.tables["limits"] = {"per_host": 1}
    site.write()
    semansys.control(delay_ms=4000)  # the signals come meanwhile
    command = [*REFRESHER, "once", "--json", "--config", str(site.config)]
    with subprocess.Popen(command, cwd=site.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as once:
        await_requests(semansys, 1)
        once.send_signal(how)
        once.send_signal(how)  # an impatient person's second loses nothing either
        out, err = once.communicate(timeout=60)
    site.outputs += [out, err]
    ends = {line["job"]: line["outcome"] for line in map(json.loads, out.splitlines())}
    assert once.returncode == 1, out
    assert semansys.stats().total == 1
    assert [*ends.values()] == ["rotated"], "of the other nothing is said: nothing is known"
    assert [bool(site.token(name)) for name in ("api", "other")] == [name in ends for name in ("api", "other")]


def test_once_says_75_when_vault_is_down(raft_site, smartdocumentor):
    raft_site.add("api", smartdocumentor)
    raft_site.write()
    raft_site.bao.stop()
    done = raft_site.run("once", "--json")
    assert done.returncode == os.EX_TEMPFAIL
    assert [line["outcome"] for line in lines_of(done, "once")] == ["store_failed"]
    assert smartdocumentor.stats().total == 0, "nothing is asked for that cannot be stored"
    assert raft_site.run("status").returncode == 1


def test_run_says_69_when_vault_refuses_the_login(site, smartdocumentor):
    site.add("api", smartdocumentor)
    site.tables["vault"]["auth"]["secret_id"] = site.secret("vault", "00000000-0000-0000-0000-000000000000")
    site.write()
    done = site.run("run")
    assert done.returncode == os.EX_UNAVAILABLE
    assert json.loads(done.stderr.splitlines()[-1])["event"] == "stopped"
    assert "Traceback" not in done.stderr


def test_a_job_that_does_not_exist_is_wrong_usage(site, smartdocumentor):
    site.add("invoices", smartdocumentor)
    site.write()
    done = site.run("once", "invoice")
    assert done.returncode == os.EX_USAGE
    assert 'did you mean "invoices"' in done.stderr


def test_check_live_tells_what_would_fail(mixed_site):
    assert mixed_site.run("check").returncode == 0
    done = mixed_site.run("check", "--live")
    assert (done.returncode, done.stderr) == (0, "")
    mixed_site.jobs["fine"]["path"] = "elsewhere/fine"
    mixed_site.jobs["refused"]["client_secret"] = f"file:{mixed_site.folder}/nowhere"
    mixed_site.jobs["failing"]["base_url"] = "http://127.0.0.1:9"
    mixed_site.write()
    mixed_site.allow(mixed_site.config, but="elsewhere")
    done = mixed_site.run("check", "--live")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3, done.stderr
    for words in (
        "[jobs.fine] path",
        "[jobs.refused] client_secret",
        "[jobs.failing] token_url: http://127.0.0.1:9/ can't be reached",
    ):
        assert words in done.stderr


def test_check_live_knocks_at_an_issuer_and_not_at_a_program_nor_at_a_token_to_come(
    site, smartdocumentor, oidc_provider
):
    site.add("first", smartdocumentor)
    site.add("found", oidc_provider)
    site.jobs["found"]["issuer"] = oidc_provider.url
    del site.jobs["found"]["token_url"]
    site.jobs["program"] = {"provider": "exec", "command": ["/bin/true"], "path": "tokens/program"}
    exchange = {"grant": "token_exchange", "subject_token": "job:first", "path": "tokens/second"}
    site.jobs["second"] = site.jobs["found"] | exchange
    site.write()
    done = site.run("check", "--live")
    assert (done.returncode, done.stderr) == (0, "")


def test_many_jobs_show_a_progress_bar_on_a_terminal(site, smartdocumentor):
    for number in range(25):
        site.add(f"job-{number:02}", smartdocumentor)
    site.tables["log"]["level"] = "error"
    site.write()
    shown = on_a_terminal([*REFRESHER, "once", "--config", str(site.config)], site.folder)
    assert "jobs" in shown
    assert "100%" in shown
    shown = on_a_terminal([*REFRESHER, "status", "--config", str(site.config)], site.folder)
    assert "25 jobs, all fresh" in shown
    assert max(map(len, shown.splitlines())) <= 100


def on_a_terminal(command, folder):
    """Run `command` with a terminal of 100 columns as its outputs and return what it showed."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": "100", "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # the other end is closed: Linux says EIO
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
