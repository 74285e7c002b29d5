import json
import os
import shutil
from pathlib import Path

import pytest

from refresher import live
from refresher.core.errors import Mistake

TWELVE = Path(__file__).parents[1] / "data" / "twelve-mistakes.toml"


@pytest.fixture
def twelve(tmp_path) -> Path:
    file = tmp_path / "jobs.toml"
    shutil.copyfile(TWELVE, file)
    file.chmod(0o644)
    return file


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("REFRESHER_CONFIG", "VAULT_ADDR", "BAO_ADDR"):
        monkeypatch.delenv(name, raising=False)


def test_twelve_mistakes_are_twelve_lines_and_78(cli, twelve):
    code, out, err = cli("check", "--config", twelve)
    assert (code, out) == (78, "")
    lines = err.splitlines()
    assert len(lines) == 12
    assert all(line.startswith(f"{twelve}: ") for line in lines)
    assert not any(secret in err for secret in ("hunter2", "hvs.not-a-reference", "user:pass"))


def test_each_of_the_twelve_is_told_once(cli, twelve):
    marked = [line.split("#")[0].strip() for line in twelve.read_text().splitlines() if "# " in line and line[0] != "#"]
    keys = sorted(line.split(" = ")[0].strip("[]") for line in marked)
    told = [json.loads(line) for line in cli("check", "--json", "--config", twelve).out.splitlines()]
    assert len(keys) == 12
    assert sorted((each["key"] or each["table"]).split(".")[0] for each in told) == keys


def test_json_lines_say_file_table_key_and_message(cli, twelve):
    code, out, err = cli("check", "--json", "--config", twelve)
    assert (code, err) == (78, "")
    told = [json.loads(line) for line in out.splitlines()]
    assert len(told) == 12
    assert all(each.keys() == {"file", "table", "key", "message"} for each in told)


@pytest.mark.usefixtures("example")
def test_a_fine_file_is_one_line_and_0_without_any_secret(cli):
    assert cli("check") == (0, "jobs.toml: 4 jobs, 4 providers, no mistake\n", "")
    assert cli("check", "--json") == (0, "", "")


def test_warnings_follow(cli, example):
    example.write_text(example.read_text().replace('state_mount = "refresher"', ""))
    code, out, err = cli("check", "-c", example)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == f"{example}: 4 jobs, 4 providers, no mistake"
    assert second.startswith(f"warning: {example}: [vault] state_mount: ")


def test_one_job_is_not_jobs(cli, example):
    example.write_text(example.read_text().split("[jobs.semansys]")[0] + '[jobs.a]\nprovider = "smartdocumentor"\n')
    with example.open("a") as file:
        file.write('client_id = "a"\nclient_secret = "env:A"\npath = "a"\n')
    assert cli("check").out == "jobs.toml: 1 job, 1 provider, no mistake\n"


def test_where_the_file_is_looked_for(cli, example, tmp_path, monkeypatch):
    other = tmp_path / "other.toml"
    shutil.copy(example, other)
    assert cli("check").out.startswith("jobs.toml: ")
    monkeypatch.setenv("REFRESHER_CONFIG", str(other))
    assert cli("check").out.startswith(f"{other}: ")
    assert cli("check", "--config", "jobs.toml").out.startswith("jobs.toml: ")


def test_no_file_anywhere(cli, monkeypatch, tmp_path):
    monkeypatch.setattr("refresher.cli._config.SYSTEM", tmp_path / "none.toml")
    code, out, err = cli("check")
    assert (code, out) == (78, "")
    assert err.startswith("there is no jobs.toml here and no ")


def test_a_folder_that_is_closed_to_us_has_no_jobs_toml(cli, monkeypatch, tmp_path, example):
    """`sudo -u refresher refresher check` from /root."""
    stat = os.stat
    monkeypatch.setattr("refresher.cli._config.SYSTEM", example)

    def closed(path, **named):
        if path == Path("jobs.toml"):
            raise PermissionError
        return stat(path, **named)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "stat", closed)
    assert cli("check").out.startswith(f"{example}: ")


@pytest.mark.parametrize("verb", ["run", "once", "plan", "status"])
def test_a_bad_config_is_78_in_every_verb(cli, twelve, verb):
    assert cli(verb, "--config", twelve) == (78, "", cli("check", "--config", twelve).err)


@pytest.mark.usefixtures("example")
def test_live_failures_are_told_as_mistakes_are_and_end_with_1(cli, monkeypatch):
    failures: list[Mistake] = []
    monkeypatch.setattr(live, "check_live", lambda _: live.Tried(tuple(failures)))
    assert cli("check", "--live") == (0, "jobs.toml: 4 jobs, 4 providers, no mistake\n", "")
    failures.append(Mistake("jobs.toml", "vault", "auth", "permission denied (denied)"))
    line = "jobs.toml: [vault] auth: permission denied (denied)\n"
    assert cli("check", "--live") == (1, "jobs.toml: 4 jobs, 4 providers, 1 live check failed\n", line)
    code, out, err = cli("check", "--live", "--json")
    assert (code, json.loads(out)["key"], err) == (1, "auth", "")


def test_a_bad_config_is_not_tried_live(cli, twelve, monkeypatch):
    monkeypatch.setattr(live, "check_live", lambda _: pytest.fail("tried"))
    assert cli("check", "--live", "--config", twelve).code == 78
