"""`refresher migrate crontab`: what comes out is a jobs.toml that `refresher check` takes, without a secret."""

import base64
import io
import re
import tomllib
from pathlib import Path

import pytest

CRONTAB = Path(__file__).parents[1] / "data" / "crontab"
EIGHT = [number for number, line in enumerate(CRONTAB.read_text().splitlines(), start=1) if re.match("# [1-8]: ", line)]


@pytest.fixture
def stdin(monkeypatch):
    def put(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return put


def test_eight_typical_lines_are_six_jobs_and_two_that_are_named(cli, tmp_path):
    assert len(EIGHT) == 8
    code, out, err = cli("migrate", "crontab", CRONTAB)
    assert code == 1
    assert [*tomllib.loads(out)["jobs"]] == ["crm", "semansys", "graph", "api", "acme", "shop"]
    seventh, eighth = (number + 1 for number in EIGHT[6:])
    named = (
        f"line {seventh}: it runs /opt/tokens/refresh-hubspot.sh, which was not looked into",
        f"line {eighth}: it asks for a token, but curl reads options from a file (-K)",
    )
    assert err.splitlines() == ["6 jobs drafted, 2 lines could not be told", *named]
    assert all(f"# - {line}\n" in out for line in named)
    draft = tmp_path / "jobs.toml"
    draft.write_text(out)
    draft.chmod(0o600)
    assert cli("check", "--config", draft).out.startswith(f"{draft}: 6 jobs, 4 providers, no mistake\n")


def test_no_secret_of_the_crontab_is_shown(cli, canaries):
    text = CRONTAB.read_text()
    for name in sorted(set(re.findall("made-up-[a-z-]+", text))):
        text = text.replace(name, canaries.plant(name))
    text = text.replace(
        "YWNtZS1iYXRjaDptYWRlLXVwLWtleWNsb2FrLXNlY3JldA==", _basic("acme-batch", canaries.plant("basic"))
    )
    assert len(canaries.planted) == 10
    code, out, err = cli_on(cli, text)
    assert code == 1
    assert out.count("[jobs.") == 6
    canaries.check(out, err)


def _basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


def cli_on(cli, text: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return cli("migrate", "crontab")


def test_it_runs_nothing(cli, tmp_path):
    touched = tmp_path / "touched"
    line = f"@hourly touch {touched}; curl -d grant_type=client_credentials -u a:$(touch {touched}) https://a.example/token"
    assert cli_on(cli, line).code == 0
    assert not touched.exists()


@pytest.mark.parametrize("file", ["-", None])
def test_standard_input(cli, stdin, file):
    stdin("@hourly curl -u a:b -d grant_type=client_credentials https://a.example/token\n")
    code, out, err = cli("migrate", "crontab", *([file] if file else []))
    assert (code, err) == (0, "1 job drafted\n")
    assert [*tomllib.loads(out)["jobs"]] == ["a"]


def test_no_token_at_all(cli, stdin):
    stdin("@daily find /tmp -delete\n")
    assert cli("migrate", "crontab") == (1, "", "0 jobs drafted\n")


def test_a_file_that_is_not_there(cli, tmp_path):
    assert cli("migrate", "crontab", tmp_path / "x") == (
        1,
        "",
        f"{tmp_path}/x: cannot be read: No such file or directory\n",
    )


def test_wrong_usage(cli, stdin):
    assert cli("migrate").code == 64
    assert cli("migrate", "fstab").code == 64
    stdin("#" * (4 * 2**20 + 1))
    assert cli("migrate", "crontab").code == 64


def test_lines_of_cron_d_name_a_user(cli, monkeypatch):
    monkeypatch.setattr("refresher.cli.migrate._SYSTEM", (str(CRONTAB.parent),))
    assert "it runs" in cli("migrate", "crontab", CRONTAB).err
