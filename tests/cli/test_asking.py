"""The verbs that ask the running daemon: what they make of words, and what they say."""

import asyncio
import io
import json
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from refresher.cli import _daemon, main, once, pause, put, status
from refresher.cli._call import call
from refresher.config import load
from refresher.control import client
from refresher.core.view import FleetView
from refresher.host.clock import SystemClock
from refresher.state import ledger
from refresher.state.tables import Attempt
from tests.config.conftest import JOB, write

VAULT = """
[vault]
address = "https://vault.example.com:8200"
auth = { method = "token", token = "file:/run/secrets/vault-token" }
"""
OUTCOME = {
    "job": "crm",
    "outcome": "rotated",
    "reason": "forced",
    "error": None,
    "http_status": None,
    "retry_after": None,
    "expires_at": "2026-11-21T11:00:00Z",
    "renew_at": "2026-11-21T10:47:12Z",
    "destinations": [{"path": "secret/tokens/crm", "version": 7, "error": None}],
    "duration_ms": 84,
    "store_down": False,
}


def row(name: str, **changes) -> dict:
    one = {
        "job": name,
        "provider": "oauth2",
        "state": "fresh",
        "expires_at": "2026-11-21T11:00:00Z",
        "renew_at": "2026-11-21T10:47:12Z",
        "life_left_s": 1800,
        "promised_s": 600,
        "failures": 0,
        "last": {"at": "2026-11-21T10:00:00Z", "outcome": "rotated", "error": None},
        "destinations": [{"path": f"secret/tokens/{name}", "version": 7}],
    }
    return {"status": one | changes, "lifetime_s": 3600}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A jobs.toml of two jobs, which every verb takes."""
    monkeypatch.setattr("refresher.host.process.harden", tuple)
    tables = (JOB | {"path": '"tokens/crm"'}, JOB | {"path": '"tokens/erp"'})
    jobs = zip(("crm", "erp"), tables, strict=True)
    lines = (f"[jobs.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in table.items()) for name, table in jobs)
    file = write(tmp_path, VAULT + f'[state]\ndir = "{tmp_path}"\n' + "".join(lines))
    monkeypatch.setenv("REFRESHER_CONFIG", str(file))
    return file


@pytest.fixture
def daemon(config, monkeypatch):  # noqa: ARG001  # it has one
    """A daemon that notes what it is asked, and answers as the test says."""
    heard, answers = [], [OUTCOME]

    def ask(_settings, verb, words):
        heard.append((verb, json.loads(json.dumps(words))))
        yield from answers

    monkeypatch.setattr(client, "ask", ask)
    monkeypatch.setattr(client, "jobs", lambda _settings: answers)
    return heard, answers


def test_rotate_says_how_it_ended_and_its_exit_code_says_it_too(daemon, capsys):
    heard, answers = daemon
    assert main(["rotate", "crm"]) == 0
    assert capsys.readouterr().out.startswith(
        "crm: rotated (forced), secret/tokens/crm v7, expires 2026-11-21 11:00:00Z"
    )
    assert main(["rotate", "crm", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {name: value for name, value in OUTCOME.items() if name != "store_down"}
    answers[0] = OUTCOME | {"outcome": "halted", "reason": "cooldown", "error": "cooldown", "retry_after": 87}
    assert main(["rotate", "crm"]) == 1
    assert capsys.readouterr().out == "crm: halted (cooldown): it was asked for not long ago; again in 87 s\n"
    assert heard == [("rotate", {"jobs": ["crm"]})] * 3


@pytest.mark.parametrize("words", [[], ["crm", "--provider", "oauth2"], ["nobody"], ["--provider", "semansys"]])
def test_rotate_is_told_which_jobs(daemon, words, capsys):
    assert main(["rotate", *words]) == 64
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert daemon[0] == []


def test_rotate_of_a_provider_shows_what_it_comes_to_first(daemon, capsys, monkeypatch):
    heard, answers = daemon
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main(["rotate", "--provider", "oauth2"]) == 64, "nobody can be asked"
    assert "crm, erp" in capsys.readouterr().err
    assert heard == []
    answers.append(OUTCOME | {"job": "erp"})
    assert main(["rotate", "--provider", "oauth2", "--yes"]) == 0
    assert heard == [("rotate", {"jobs": ["crm", "erp"]})]
    answers.pop()
    assert main(["rotate", "--provider", "oauth2", "--yes"]) == 1
    assert "1 of 2 jobs are left as they were" in capsys.readouterr().err


@pytest.mark.leak("L12")
def test_put_takes_the_token_from_standard_input_alone(daemon, capsys, monkeypatch):
    heard, _ = daemon
    monkeypatch.setattr(sys, "stdin", io.StringIO("by-hand\n"))
    assert main(["put", "crm", "--expires-in", "1h"]) == 0
    assert heard == [("put", {"jobs": ["crm"], "token": "by-hand\n", "lifetime_s": 3600})]
    assert "by-hand" not in "".join(capsys.readouterr())
    monkeypatch.setattr(sys, "stdin", io.StringIO("x" * (put.LONGEST + 1)))
    assert main(["put", "crm"]) == 64
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert main(["put", "crm"]) == 64


@pytest.mark.parametrize("until", ["", "yesterday", "2020-01-01T00:00:00Z", "0s", "36501d"])
def test_pause_refuses_a_time_that_is_none(daemon, until):
    assert main(["pause", "crm", "--until", until]) == 64
    assert daemon[0] == []


@pytest.mark.parametrize("until", ["2h", "1d", "2999-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00"])
def test_pause_takes_a_span_or_a_time(until):
    assert pause._moment(until) > SystemClock().now()


def test_pause_says_when_readers_are_left_with_nothing(daemon, capsys):
    daemon[1][0] = row("crm", state="paused")
    assert main(["pause", "crm", "--until", "2999-01-01T00:00:00Z"]) == 0
    assert "readers' token dies at 2026-11-21 11:00:00Z, before that" in capsys.readouterr().out


def test_resume_says_what_is_left_to_do_for_a_path_without_a_mark(daemon, capsys):
    daemon[1][0] = row("crm", state="unmanaged")
    assert main(["resume", "crm"]) == 0
    assert "set adopt = true once" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume", "release"])
def test_without_a_daemon_it_says_so_in_one_line(config, verb, capsys):
    assert main([verb, "crm", *(("--until", "1h") if verb == "pause" else ())]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"refresher {verb}: no daemon runs for {config}\n"


def test_once_says_75_where_the_daemon_could_do_nothing(daemon):
    _, answers = daemon
    answers[:] = [OUTCOME | {"job": name, "outcome": "store_failed", "store_down": True} for name in ("crm", "erp")]
    assert main(["once"]) == 75
    answers[0] = OUTCOME
    assert main(["once"]) == 1
    answers[1] = OUTCOME | {"job": "erp"}
    assert main(["once"]) == 0
    answers[1] = OUTCOME | {"job": "erp", "destinations": [{"path": "p", "version": None, "error": "sealed"}]}
    assert main(["once"]) == 1, "one destination lacks the token"


def test_a_reader_that_leaves_once_ends_no_pass(config, monkeypatch):
    """`once --json | head -1`: the walk of another job is between request and answer then."""
    ended = []

    class Parts:
        def roster(self):
            return self

        def end_pass(self):
            pass

        async def once(self, names, *, progress, **_):
            for name in names:
                progress(SimpleNamespace(as_json=lambda name=name: {"job": name}))
                ended.append(name)

    @asynccontextmanager
    async def build(*_args, **_named):
        yield Parts()

    def leave(*_args, **_named):
        raise BrokenPipeError

    kept = load(config)
    monkeypatch.setattr("refresher.daemon.build", build)
    monkeypatch.setattr("builtins.print", leave)
    with pytest.raises(BrokenPipeError):
        asyncio.run(once._pass(kept, ("crm", "erp"), force=False, as_json=True))
    assert ended == ["crm", "erp"]


@pytest.mark.usefixtures("config")
def test_what_prints_the_history_is_no_fault_of_the_ledger(capsys, monkeypatch):
    def history(_path, *, since, **_named):
        known = {"job": "crm", "at": 0.0, "outcome": "rotated", "reason": "due", "path": "tokens/crm", "version": 1}
        yield Attempt(**dict.fromkeys(Attempt.__slots__) | known)
        if since is not None:
            raise OSError

    def leave(*_args, **_named):
        raise BrokenPipeError

    monkeypatch.setattr(ledger, "history", history)
    assert main(["history", "--since", "1h"]) == 1
    found = capsys.readouterr()
    assert found.out.startswith("1970-01-01 00:00:00Z  crm: rotated (due)")
    assert "the ledger can't be read (OSError)" in found.err
    assert main(["history", "\udcff"]) == 64
    assert "JOB is not UTF-8" in capsys.readouterr().err
    monkeypatch.setattr("builtins.print", leave)
    with pytest.raises(BrokenPipeError):
        call("history", [])


def test_once_asks_for_named_jobs_by_force(daemon):
    assert main(["once", "crm", "--force"]) == 0
    assert daemon[0] == [("once", {"jobs": ["crm"], "force": True})]


def test_status_says_where_it_is_from_and_fits_a_hundred_columns(daemon, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    latched = row(
        "erp-with-a-long-name",
        state="retrying",
        failures=12,
        last={"at": "2026-11-21T10:00:00Z", "outcome": "rejected_transient", "error": "http_503"},
    )
    daemon[1][:] = [row("crm"), latched]
    assert main(["status"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 jobs, 1 not fresh (from the running daemon)"
    assert max(map(len, lines)) <= 100
    assert len(lines) == 4, "a line for each job"
    assert "retrying 12" in lines[1]
    assert "http_503" in lines[1]
    assert "█████░░░░░" in lines[2]


FLEET = """
[scheduler]
kind = "postgres"
postgres = { dsn = "postgresql://refresher@127.0.0.1:1/refresher" }
"""


@pytest.fixture
def fleet(config, monkeypatch):
    """The daemon is one of three nodes, of whom one is gone."""
    config.write_text(config.read_text() + FLEET)
    seen = {"words": FleetView(alive=("host-1", "host-2"), gone=("host-3",)).words}
    monkeypatch.setattr(client, "fleet", lambda _settings: seen)


@pytest.mark.usefixtures("fleet")
def test_status_of_a_fleet_says_which_node_has_each_job_and_who_is_gone(daemon, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(SystemClock, "now", lambda _clock: datetime(2026, 11, 26, 13, tzinfo=UTC))
    long = row("erp-with-a-long-name", node="refresher-with-a-long-name-12")
    daemon[1][:] = [row("crm", node="host-2"), long]
    assert main(["status"]) == 0, "by the jobs alone"
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "2 jobs, all fresh (from the running daemon; 2 of 3 nodes: host-3 is gone)"
    assert "node" in lines[0]
    assert "host-2" in lines[1]
    assert max(map(len, lines)) <= 100


@pytest.mark.usefixtures("fleet")
def test_once_walks_nothing_beside_a_fleet(capsys, monkeypatch):
    def ask(*_):
        raise client.NoDaemonError("none")

    monkeypatch.setattr(client, "ask", ask)
    assert main(["once"]) == 75
    assert "the nodes of a fleet walk its jobs, and none runs here" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [("pause", "crm", "--until", "2h"), ("resume", "crm")])
def test_what_the_other_nodes_could_not_be_told_is_said(daemon, capsys, verb):
    daemon[1][0] = row("crm") | {"told": True}
    assert main([*verb]) == 0
    assert "PostgreSQL" not in capsys.readouterr().out
    daemon[1][0] = row("crm") | {"told": False}
    assert main([*verb]) == 0
    assert "PostgreSQL is away: this node alone knows of it" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["rotate", "release"])
def test_a_job_that_another_node_has_is_declined_in_one_line(daemon, capsys, verb):
    elsewhere = {"outcome": "halted", "reason": "elsewhere", "error": "elsewhere", "renew_at": None, "node": "host-2"}
    daemon[1][0] = OUTCOME | elsewhere
    assert main([verb, "crm"]) == 1
    line = capsys.readouterr().out.splitlines()[0]
    assert line == (
        "crm: halted (elsewhere): node host-2 has it in hand: try again in a moment, or ask there:"
        f" refresher {verb} crm"
    )


def test_status_as_json_is_the_contract_and_nothing_else(daemon, capsys):
    daemon[1][:] = [row("crm")]
    assert main(["status", "--json"]) == 0
    said = capsys.readouterr()
    assert [json.loads(line) for line in said.out.splitlines()] == [row("crm")["status"]]
    assert said.err == "refresher status: from the running daemon\n"


@pytest.mark.usefixtures("daemon")
def test_status_is_watched_by_people_alone():
    assert main(["status", "--watch", "--json"]) == 64


def test_status_is_drawn_again_until_somebody_leaves(daemon, capsys, monkeypatch):
    daemon[1][:] = [row("crm")]
    drawn = []

    async def sleep(_clock, span):
        drawn.append(span)
        if len(drawn) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    assert main(["status", "--watch"]) == 130
    assert drawn == [status.OFTEN] * 3
    assert "1 jobs, all fresh (from the running daemon)" in capsys.readouterr().out


def test_every_code_of_a_declined_job_has_its_words():
    for code in _daemon.DECLINED:
        ended = OUTCOME | {"outcome": "halted", "reason": code, "error": code, "renew_at": None}
        assert "{job}" not in _daemon.line(ended)
        assert len(_daemon.line(ended)) > len(f"crm: halted ({code}): ")
